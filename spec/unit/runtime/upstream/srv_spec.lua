local c, ffi = require "spec.support.c" ("upstream/srv.h")

local function u16(n) return string.char(math.floor(n / 256), n % 256) end
local function u32(n) return u16(math.floor(n / 65536)) .. u16(n % 65536) end

local function name(text)
  local labels = {}
  for label in text:gmatch "[^.]+" do labels[#labels + 1] = string.char(#label) .. label end
  return table.concat(labels) .. "\0"
end

local function record(owner, kind, class, ttl, data)
  return owner .. u16(kind) .. u16(class) .. u32(ttl) .. u16(#data) .. data
end

-- An SRV record of the name that was asked for, which a pointer stands for.
local function srv(ttl, priority, weight, port, target)
  return record("\192\12", 33, 1, ttl, u16(priority) .. u16(weight) .. u16(port) .. target)
end

-- An answer to the question for SRV of _http._tcp.shop.example.
local function answer(...)
  return "\18\52\129\128" .. u16(1) .. u16(select("#", ...)) .. u16(0) .. u16(0)
    .. name "_http._tcp.shop.example" .. u16(33) .. u16(1) .. table.concat { ... }
end

local function read(bytes)
  local out = ffi.new "struct wr_srv_answer"
  if not c.wr_srv_read(bytes, #bytes, out) then return nil end
  local list = { ttl = out.ttl_s }
  for i = 0, tonumber(out.count) - 1 do
    local r = out.records[i]
    list[i + 1] = { r.priority, r.weight, r.port, ffi.string(r.target) }
  end
  return list
end

describe("an answer with SRV records", function()
  it("is read in its order, with the smallest of its times", function()
    assert.same({ ttl = 30, { 10, 60, 8080, "a.shop.example" }, { 20, 0, 65535, "b" } },
      read(answer(srv(60, 10, 60, 8080, name "a.shop.example"), srv(30, 20, 0, 65535, name "b"))))
    assert.same({ ttl = 5, { 0, 0, 1, "x" }, { 0, 0, 2, "x" } },
      read(answer(srv(5, 0, 0, 1, name "x"), srv(9, 0, 0, 2, name "x"))))
  end)

  it("may point back for the rest of a target", function()
    -- 12 is where the question's name begins; shop.example is 11 bytes further.
    assert.same({ ttl = 1, { 1, 2, 3, "a.shop.example" } },
      read(answer(srv(1, 1, 2, 3, "\1a\192\23"))))
  end)

  it("has records that are none of ours, and may have none at all", function()
    local cname = record("\192\12", 5, 1, 1, name "other")
    local chaos = record("\192\12", 33, 3, 1, u16(1) .. u16(1) .. u16(1) .. name "x")
    local ours = srv(7, 1, 1, 1, name "x")
    assert.same({ ttl = 7, { 1, 1, 1, "x" } }, read(answer(cname, chaos, ours)))
    assert.same({ ttl = 0 }, read(answer(cname)))
    assert.same({ ttl = 0 }, read(answer()))
  end)

  it("says by a root target that there is no such service", function()
    assert.same({ ttl = 1, { 0, 0, 0, "" } }, read(answer(srv(1, 0, 0, 0, "\0"))))
  end)

  it("is read as far as there is room", function()
    local records = {}
    for i = 1, 300 do records[i] = srv(i == 300 and 1 or 60, 1, 1, i, name "x") end
    local list = read(answer(unpack(records)))
    assert.equal(tonumber(c.WR_SRV_RECORDS_MAX), #list)
    assert.same({ 1, 1, 256, "x" }, list[256])
    assert.equal(60, list.ttl)
  end)

  for _, case in ipairs {
    { "nothing", "" }, { "half a header", ("\0"):rep(11) },
    { "a header that promises a question", "\0\0\129\128" .. u16(1) .. ("\0"):rep(6) },
    { "a header that promises a record", "\0\0\129\128" .. u16(0) .. u16(1) .. ("\0"):rep(4) },
    { "a record longer than the answer",
      answer("\192\12" .. u16(33) .. u16(1) .. u32(1) .. u16(99) .. "x") },
    { "a record too short for its numbers", answer(record("\192\12", 33, 1, 1, "\0\0\0")) },
    { "a target that points at itself", answer(srv(1, 1, 1, 1, "\192\59")) },
    { "a target that points past the end", answer(srv(1, 1, 1, 1, "\255\255")) },
    { "a label that is cut", answer(srv(1, 1, 1, 1, "\9abc")) },
  } do
    it("is refused: " .. case[1], function() assert.is_nil(read(case[2])) end)
  end

  it("is refused wherever it is cut, and reads nothing behind the cut", function()
    local whole = answer(srv(60, 1, 2, 3, name "a.example"), srv(60, 1, 2, 3, name "b.example"))
    for length = 0, #whole - 1 do
      -- A copy of its own, so that a sanitizer sees a byte too many.
      local copy = ffi.new("unsigned char[?]", math.max(length, 1), whole:sub(1, 0))
      ffi.copy(copy, whole, length)
      assert.is_false(c.wr_srv_read(copy, length, ffi.new "struct wr_srv_answer"), length)
    end
  end)
end)
