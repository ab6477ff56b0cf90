local c, ffi = require "spec.support.c" ("policy/source.h", "script/library.h")

ffi.cdef "int close(int fd);"

local SAME, OTHER = 7ULL, 9ULL

describe("a packed bundle", function()
  local path = os.tmpname()
  local err = ffi.new("struct wr_error")

  local function write(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  before_each(function()
    write("local answer = 42\n" .. ("-- what takes long to parse\n"):rep(400) .. "return answer\n")
  end)
  teardown(function() os.remove(path) end)

  local function opened() return assert(c.wr_source_open(path, err)) end

  -- What comes out of it under `stamp`.
  local function through(source, stamp)
    local fd = c.wr_source_pack(source, err)
    assert.is_true(fd >= 0)
    local out = assert(c.wr_source_unpack(fd, stamp, err))
    ffi.C.close(fd)
    local main = c.wr_source_main(out)
    local seen = { count = tonumber(out.count), text = ffi.string(main.text.ptr, main.text.len),
      compiled = ffi.string(main.compiled.ptr, main.compiled.len), hash = c.wr_source_hash(out) }
    c.wr_source_free(out)
    return seen
  end

  it("has what its scripts compile to, for those of the same program alone", function()
    local source = opened()
    local plain = through(source, SAME)
    assert.same({ 1, "" }, { plain.count, plain.compiled })
    c.wr_source_compile(source, SAME)
    local same, other = through(source, SAME), through(source, OTHER)
    assert.equal(42, assert(loadstring(same.compiled))())
    assert.matches("^\27LJ", same.compiled)
    assert.same(plain, other)
    assert.same(plain, through(source, 0))
    -- What is live is told by what was written, not by who compiled it.
    assert.same({ plain.count, plain.text, plain.hash }, { same.count, same.text, same.hash })
    c.wr_source_free(source)
  end)

  it("has nothing of scripts that are parsed in no time", function()
    write "return 42\n"
    local source = opened()
    c.wr_source_compile(source, SAME)
    assert.equal("", through(source, SAME).compiled)
    c.wr_source_free(source)
  end)

  it("has the library compiled, each module", function()
    local library = c.wr_library_compile()
    local count = 0
    while c.wr_library_files[count].module ~= nil do
      local code = c.wr_library_code(library, c.wr_library_files + count)
      assert.matches("^\27LJ", ffi.string(code.ptr, code.len))
      count = count + 1
    end
    assert.is_true(count > 40)
    assert.is_true(c.wr_library_stamp(library) ~= 0)
    c.wr_library_free(library)
  end)
end)
