local c, ffi = require "spec.support.c" ("http/stored.h")
local fields = require "spec.support.fields"

local function write(status, lifetime, list, max)
  local f = ffi.new("struct wr_freshness", { lifetime_s = lifetime })
  return fields.into_buf(max or 65536, function(b)
    return c.wr_stored_write(status, f, fields.list(list), b)
  end)
end

-- Status, lifetime, fields and body of a record; nil when it is none.
local function read(record, max)
  local status, f = ffi.new("int[1]"), ffi.new("struct wr_freshness")
  local list, body = fields.list({}, max), ffi.new("struct wr_str")
  if not c.wr_stored_read(fields.slice(record), status, f, list, body) then return nil end
  return { status[0], tonumber(f.lifetime_s), fields.read(list), fields.text(body) }
end

describe("a stored response", function()
  before_each(fields.clear)

  it("comes back as it was", function()
    local list = { { "A", "1" }, { "B", "" }, { "a", ("x"):rep(1000) } }
    local ok, record = write(404, 60, list)
    assert.is_true(ok)
    assert.same({ 404, 60, list, "body\0" }, read(record .. "body\0"))
    assert.same({ 404, 60, list, "" }, read(record))
  end)

  it("needs room", function()
    assert.is_false((write(200, 60, { { "A", ("x"):rep(100) } }, 100)))
    local _, record = write(200, 60, { { "A", "1" }, { "B", "2" } })
    assert.is_nil(read(record, 1))
  end)

  it("is refused when it is cut anywhere, or its lengths lie", function()
    local _, record = write(200, 60, { { "Name", "value" }, { "Other", "thing" } })
    for length = 0, #record - 1 do assert.is_nil(read(record:sub(1, length)), length) end
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 20000 do
      local at = math.random(#record)
      local torn = record:sub(1, at - 1) .. string.char(math.random(0, 255)) .. record:sub(at + 1)
      local got = read(torn)
      assert(got == nil or #got[3] <= 200, ("seed %d at %d"):format(seed, at))
      fields.clear()
    end
  end)
end)
