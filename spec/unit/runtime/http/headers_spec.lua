local c, ffi = require "spec.support.c" ("http/headers.h")

local region = ffi.new("struct wr_region")
c.wr_region_init(region, 1048576)

local function str(s)
  return s.ptr ~= nil and ffi.string(s.ptr, s.len) or nil
end

-- LuaJIT strings that are borrowed as slices must not be collected meanwhile.
local alive = {}
local function slice(text)
  alive[#alive + 1] = text
  return ffi.new("struct wr_str", { text, #text })
end

local function list(fields, max)
  local h = ffi.new("struct wr_headers")
  c.wr_headers_init(h, region, max or 100)
  for _, field in ipairs(fields) do
    assert.is_true(c.wr_headers_add(h, slice(field[1]), slice(field[2])))
  end
  return h
end

local function fields(h)
  local out = {}
  for i = 0, tonumber(h.count) - 1 do
    out[i + 1] = { str(h.items[i].name), str(h.items[i].value) }
  end
  return out
end

describe("headers", function()
  before_each(function()
    c.wr_region_clear(region)
    alive = {}
  end)

  it("keep order, duplicates and spelling", function()
    local given = { { "B", "1" }, { "a", "2" }, { "b", "3" }, { "B", "" } }
    assert.same(given, fields(list(given)))
  end)

  it("find without regard to case", function()
    local h = list { { "Accept", "x" }, { "ACCEPT", "y" }, { "Accepted", "z" } }
    assert.equal("x", str(c.wr_headers_get(h, slice "accept")))
    assert.is_nil(str(c.wr_headers_get(h, slice "accep")))
    local at, seen = ffi.new("size_t[1]"), {}
    while true do
      local value = c.wr_headers_each(h, slice "aCCept", at)
      if value.ptr == nil then break end
      table.insert(seen, str(value))
    end
    assert.same({ "x", "y" }, seen)
  end)

  it("find an empty value", function()
    assert.equal("", str(c.wr_headers_get(list { { "A", "" } }, slice "a")))
  end)

  it("replace all of a name at the place of the first", function()
    local h = list { { "A", "1" }, { "B", "2" }, { "a", "3" }, { "C", "4" } }
    assert.is_true(c.wr_headers_set_copy(h, slice "a", slice "5"))
    assert.same({ { "a", "5" }, { "B", "2" }, { "C", "4" } }, fields(h))
    assert.is_true(c.wr_headers_set_copy(h, slice "D", slice "6"))
    assert.equal(4, tonumber(h.count))
  end)

  it("remove all of a name", function()
    local h = list { { "A", "1" }, { "B", "2" }, { "a", "3" } }
    assert.equal(2, tonumber(c.wr_headers_remove(h, slice "A")))
    assert.equal(0, tonumber(c.wr_headers_remove(h, slice "A")))
    assert.same({ { "B", "2" } }, fields(h))
  end)

  it("copy what they are told to copy", function()
    local h = list {}
    local name, value = ffi.new("char[1]", ("a"):byte()), ffi.new("char[1]", ("b"):byte())
    local function one(bytes) return ffi.new("struct wr_str", { bytes, 1 }) end
    assert.is_true(c.wr_headers_add_copy(h, one(name), one(value)))
    name[0], value[0] = 0, 0
    assert.same({ { "a", "b" } }, fields(h))
  end)

  it("refuse more than their maximum and stay as they were", function()
    local given = {}
    for i = 1, 40 do given[i] = { "N" .. i, "v" } end
    local h = list(given, 40)
    assert.is_false(c.wr_headers_add(h, slice "x", slice "y"))
    assert.is_false(c.wr_headers_add_copy(h, slice "x", slice "y"))
    assert.is_false(c.wr_headers_set_copy(h, slice "x", slice "y"))
    assert.is_true(c.wr_headers_set_copy(h, slice "n7", slice "y"))
    given[7] = { "n7", "y" }
    assert.same(given, fields(h))
  end)

  it("refuse what the region cannot hold", function()
    local small = ffi.new("struct wr_region")
    c.wr_region_init(small, 720)
    local h = ffi.new("struct wr_headers")
    c.wr_headers_init(h, small, 100)
    assert.is_true(c.wr_headers_add_copy(h, slice "a", slice "b"))
    assert.is_false(c.wr_headers_add_copy(h, slice "a", slice(("b"):rep(100))))
    assert.is_false(c.wr_headers_set_copy(h, slice "a", slice(("b"):rep(100))))
    assert.same({ { "a", "b" } }, fields(h))
    c.wr_region_fini(small)
  end)

  it("look into comma-separated lists", function()
    local h = list { { "Connection", "a,\tB , ,c" }, { "connection", "D" }, { "X", "e" } }
    for token, found in pairs { a = true, b = true, C = true, d = true, e = false,
      ["a,"] = false } do
      assert.equal(found, c.wr_headers_has_token(h, slice "Connection", slice(token)), token)
    end
  end)

  it("know tokens", function()
    for _, text in ipairs { "a", "X-Y", "!#$%&'*+-.^_`|~09azAZ" } do
      assert.is_true(c.wr_headers_is_token(slice(text)), text)
    end
    for _, text in ipairs { "", " a", "a ", "a:", "a\0", "a\n", "\xc3\xa9", "(a)", "a/b", '"', "[",
      "{", "@",
      ",", ";", "<", "=", "?", "\\", "\x7f" } do
      assert.is_false(c.wr_headers_is_token(slice(text)), text)
    end
  end)

  it("know values", function()
    for _, text in ipairs { "", "a", "a b", "a\tb", "caf\xc3\xa9", "\xff", ("x"):rep(100) } do
      assert.is_true(c.wr_headers_is_value(slice(text)), text)
    end
    for _, text in ipairs { " a", "a ", "\ta", "a\t", " " } do
      assert.is_false(c.wr_headers_is_value(slice(text)), "white space at an end")
    end
  end)

  it("refuse every control character but tab at every place of a value", function()
    for byte = 0, 255 do
      local is_control = (byte < 32 and byte ~= 9) or byte == 127
      for before = 1, 17 do
        local text = ("x"):rep(before) .. string.char(byte) .. ("\x80"):rep(20 - before)
        assert.equal(not is_control, c.wr_headers_is_value(slice(text)), byte .. " at " .. before)
      end
    end
  end)

  it("know hop-by-hop names", function()
    for _, name in ipairs { "connection", "Keep-Alive", "PROXY-CONNECTION", "te", "Trailer",
      "Transfer-Encoding", "Upgrade", "Content-Length", "Proxy-Authenticate", "Proxy-Authorization",
      "HTTP2-Settings" } do
      assert.is_true(c.wr_headers_is_hop(slice(name)), name)
    end
    for _, name in ipairs { "Host", "Content-Type", "Authorization", "T", "Trailers", "" } do
      assert.is_false(c.wr_headers_is_hop(slice(name)), name)
    end
  end)

  it("know what may follow a body", function()
    for _, name in ipairs { "grpc-status", "Grpc-Message", "Server-Timing", "X-Sum" } do
      assert.is_true(c.wr_headers_is_trailer(slice(name)), name)
    end
    for _, name in ipairs { "Content-Length", "content-type", "Host", "TE", "Authorization",
      "Set-Cookie", "cache-control", "X-Forwarded-For", "If-Match", "Via", "X-Request-ID" } do
      assert.is_false(c.wr_headers_is_trailer(slice(name)), name)
    end
  end)

  it("let pass what may cross the gateway", function()
    local h = list {
      { "Host", "a" }, { "Connection", "close, x-secret, Host" }, { "X-Secret", "1" },
      { "Keep-Alive", "timeout=5" }, { "Accept", "*/*" }, { "TE", "trailers" },
      { "connection", "AUTHORIZATION,x-forwarded-for, content-type,x-other" },
      { "Authorization", "b" }, { "X-Forwarded-For", "c" }, { "Content-Type", "d" },
      { "X-Other", "2" }, { "x-other", "3" }, { "X-Others", "4" },
      { "Transfer-Encoding", "chunked" },
    }
    local out = list {}
    assert.is_true(c.wr_headers_forwardable(h, out))
    assert.same({ { "Host", "a" }, { "Accept", "*/*" }, { "Authorization", "b" },
      { "X-Forwarded-For", "c" }, { "Content-Type", "d" }, { "X-Others", "4" } }, fields(out))
  end)

  it("cannot be made to delete what others rely on", function()
    for _, name in ipairs { "Host", "Cookie", "Set-Cookie", "Content-Encoding", "X-Forwarded-Proto",
      "X-Request-ID", "Forwarded", "Via", "Traceparent", "X-Request-Deadline-Ms", "Idempotency-Key",
      "Cache-Control", "X-Real-IP" } do
      local out = list {}
      assert.is_true(c.wr_headers_forwardable(list { { name, "v" }, { "Connection", name } }, out))
      assert.same({ { name, "v" } }, fields(out))
    end
  end)

  it("say so when what may cross does not fit", function()
    local out = list({}, 1)
    assert.is_false(c.wr_headers_forwardable(list { { "A", "1" }, { "B", "2" } }, out))
  end)
end)
