local c, ffi = require "spec.support.c" ("http/trace_context.h")
local fields = require "spec.support.fields"

local TRACE, SPAN = "12345678901234567890123456789012", "1234567890123456"
local PARENT = "00-" .. TRACE .. "-" .. SPAN .. "-01"

local function parent(value)
  local out = ffi.new("struct wr_trace_context")
  if not c.wr_trace_context_parent(fields.slice(value), out) then return nil end
  return ffi.string(out.trace_id) .. " " .. ffi.string(out.span_id) .. " " .. out.flags
end

local function read(list)
  local out = ffi.new("struct wr_trace_context")
  if not c.wr_trace_context_read(fields.list(list), fields.region, out) then return nil end
  return ffi.string(out.trace_id), fields.text(out.state)
end

local function state(...)
  local list = { { "traceparent", PARENT } }
  for _, value in ipairs { ... } do list[#list + 1] = { "tracestate", value } end
  return select(2, read(list))
end

-- Most cases are those of the W3C's own suite (w3c/trace-context, test/test.py).
describe("traceparent", function()
  before_each(fields.clear)

  for _, case in ipairs {
    { PARENT, 1 },
    { "00-" .. TRACE .. "-" .. SPAN .. "-00", 0 },
    { "00-" .. TRACE .. "-" .. SPAN .. "-03", 3, "level 2: the random flag" },
    { "00-" .. TRACE .. "-" .. SPAN .. "-ff", 3, "what is not known is not passed on" },
    { "cc-" .. TRACE .. "-" .. SPAN .. "-01", 1, "a version to come" },
    { "cc-" .. TRACE .. "-" .. SPAN .. "-01-what-the-future-will-be-like", 1 },
    { "cc-" .. TRACE .. "-" .. SPAN .. "-01-", 1 },
  } do
    it("is read: " .. case[1] .. (case[3] and " (" .. case[3] .. ")" or ""), function()
      assert.equal(TRACE .. " " .. SPAN .. " " .. case[2], parent(case[1]))
    end)
  end

  for _, value in ipairs {
    "", "00", "00-" .. TRACE .. "-" .. SPAN, "00-" .. TRACE .. "-" .. SPAN .. "-",
    PARENT .. "-what-the-future-will-not-be-like", PARENT .. "-", PARENT .. ".",
    "cc-" .. TRACE .. "-" .. SPAN .. "-01.what-the-future-will-be-like",
    "ff-" .. TRACE .. "-" .. SPAN .. "-01", ".0-" .. TRACE .. "-" .. SPAN .. "-01",
    "0.-" .. TRACE .. "-" .. SPAN .. "-01", "0-" .. TRACE .. "-" .. SPAN .. "-01",
    "000-" .. TRACE .. "-" .. SPAN .. "-01", "CC-" .. TRACE .. "-" .. SPAN .. "-01",
    "00-" .. ("0"):rep(32) .. "-" .. SPAN .. "-01", "00-" .. TRACE .. "-" .. ("0"):rep(16) .. "-01",
    "00-.2345678901234567890123456789012-" .. SPAN .. "-01",
    "00-1234567890123456789012345678901.-" .. SPAN .. "-01",
    "00-A2345678901234567890123456789012-" .. SPAN .. "-01",
    "00-1234567890123456789012345678901-" .. SPAN .. "-01",
    "00-" .. TRACE .. "3-" .. SPAN .. "-01",
    "00-" .. TRACE .. "-.234567890123456-01", "00-" .. TRACE .. "-123456789012345.-01",
    "00-" .. TRACE .. "-A234567890123456-01", "00-" .. TRACE .. "-123456789012345-01",
    "00-" .. TRACE .. "-" .. SPAN .. "7-01",
    "00-" .. TRACE .. "-" .. SPAN .. "-.0", "00-" .. TRACE .. "-" .. SPAN .. "-0.",
    "00-" .. TRACE .. "-" .. SPAN .. "-0", "00-" .. TRACE .. "-" .. SPAN .. "-001",
    "00_" .. TRACE .. "-" .. SPAN .. "-01", "00-" .. TRACE .. "_" .. SPAN .. "-01",
    "00-" .. TRACE .. "-" .. SPAN .. "_01",
  } do
    it("is not valid: '" .. value .. "'", function() assert.is_nil(parent(value)) end)
  end

  it("of noise is refused, or one that says the same when it is written again", function()
    math.randomseed(7)
    local alphabet = "0123456789abcdef-0-F.\0"
    local out, context = ffi.new("char[56]"), ffi.new("struct wr_trace_context")
    local valid = 0
    for i = 1, 20000 do
      local text = i % 2 == 0 and PARENT or "cc-" .. TRACE .. "-" .. SPAN .. "-00-more"
      for _ = 1, math.random(0, 2) do
        local at, with = math.random(#text), math.random(#alphabet)
        text = text:sub(1, at - 1) .. alphabet:sub(with, with) .. text:sub(at + 1)
      end
      text = text:sub(1, math.random(40, #text + 20))
      if c.wr_trace_context_parent(fields.slice(text), context) then
        valid = valid + 1
        c.wr_trace_context_write(context, context.span_id, out)
        assert.equal(parent(text), parent(ffi.string(out)), text)
        assert.equal(text:sub(4, 52), ffi.string(out):sub(4, 52))
      end
      fields.clear()
    end
    assert.is_true(valid > 2000 and valid < 18000, valid)
  end)

  it("counts once only", function()
    assert.is_nil(read { { "traceparent", PARENT }, { "TraceParent", PARENT } })
    assert.is_nil(read {})
    assert.is_nil(read { { "tracestate", "foo=1" } })
  end)

  it("has no case in its name", function()
    for _, name in ipairs { "TRACEPARENT", "TraceParent", "tRACEpARENT" } do
      assert.equal(TRACE, (read { { name, PARENT } }))
    end
  end)

  it("is written in version 00, with the span that asks and the flags that are known", function()
    local context = ffi.new("struct wr_trace_context")
    local out = ffi.new("char[56]")
    local from = "cc-" .. TRACE .. "-" .. SPAN .. "-ff-more"
    assert.is_true(c.wr_trace_context_parent(fields.slice(from), context))
    c.wr_trace_context_write(context, "00f067aa0ba902b7", out)
    assert.equal("00-" .. TRACE .. "-00f067aa0ba902b7-03", ffi.string(out))
  end)

  it("has ids of lower-case digits", function()
    local out = ffi.new("char[17]")
    c.wr_trace_context_digits(0x0123456789abcdefULL, out)
    assert.equal("0123456789abcdef", ffi.string(out))
    c.wr_trace_context_digits(1, out)
    assert.equal("0000000000000001", ffi.string(out))
  end)
end)

describe("tracestate", function()
  before_each(fields.clear)

  local z = string.rep
  for _, case in ipairs {
    { { "foo=1" }, "foo=1" },
    { { "foo=1,bar=2" }, "foo=1,bar=2" },
    { { "foo=1", "bar=2" }, "foo=1,bar=2", "several fields are one list" },
    { { "foo=1,bar=2", "rojo=1,congo=2", "baz=3" }, "foo=1,bar=2,rojo=1,congo=2,baz=3" },
    { { "foo=1", "" }, "foo=1", "empty fields" },
    { { "", "foo=1" }, "foo=1" },
    { { "foo=1,", ",bar=2" }, "foo=1,bar=2", "empty members" },
    { { "foo=1 \t , \t bar=2, \t baz=3" }, "foo=1,bar=2,baz=3", "white space around members" },
    { { "foo=1,foo=1" }, "foo=1,foo=1", "whose key is there twice is not for us to say" },
    { { "foo@bar=1" }, "foo@bar=1" },
    { { "1a-*/_@v=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~ x" },
      "1a-*/_@v=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~ x" },
    { { z("z", 256) .. "=1" }, z("z", 256) .. "=1" },
    { { z("t", 241) .. "@" .. z("v", 14) .. "=1" }, z("t", 241) .. "@" .. z("v", 14) .. "=1" },
    { { "v=" .. z("x", 256) }, "v=" .. z("x", 256) },
  } do
    it("is passed on: " .. table.concat(case[1], " | "):sub(1, 60), function()
      assert.equal(case[2], state(unpack(case[1])))
    end)
  end

  for _, value in ipairs {
    "", "foo", "foo =1", "FOO=1", "foo.bar=1", "foo@=1,bar=2", "@foo=1,bar=2", "foo@@bar=1",
    "foo@bar@baz=1", "1foo=1", "a@1b=1", "foo=bar=baz", "foo=,bar=3", "=1", "foo=\195\188",
    z("z", 257) .. "=1", z("t", 242) .. "@v=1", "t@" .. z("v", 15) .. "=1", "v=" .. z("x", 257),
  } do
    it("is not valid: '" .. value:sub(1, 40) .. "'", function()
      assert.is_nil(state(value))
      assert.is_nil(state("a=1", value ~= "" and value or "-"), "no part of it is used")
    end)
  end

  local function many(count, width)
    local out = {}
    for i = 1, count do out[i] = ("bar%02d=%s"):format(i, z("x", width)) end
    return table.concat(out, ",")
  end

  it("has 32 members at most", function()
    assert.equal(many(32, 1), state(many(32, 1)))
    assert.is_nil(state(many(33, 1)))
  end)

  it("is cut at 512 bytes: long members first, then the last ones", function()
    local long = "long=" .. z("x", 124)
    assert.equal(many(20, 10), state(many(20, 10)))
    assert.equal(many(30, 10), state(many(30, 10)), "30 of 16 bytes and the commas are 509")
    assert.equal(many(30, 10), state(long, many(31, 10)))
    assert.equal(many(25, 10) .. ",z=1", state(many(25, 10), long, "z=1"))
  end)
end)
