local c, ffi = require "spec.support.c" ("http/conditional.h")
local fields = require "spec.support.fields"

local NOW = 784111777
local OLD, NEW = "Sat, 05 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"

local function is_not_modified(request, stored)
  return c.wr_conditional_not_modified(fields.list(request), fields.list(stored), NOW)
end

local function inm(value) return { { "If-None-Match", value } } end
local function ims(value) return { { "If-Modified-Since", value } } end

describe("conditions", function()
  before_each(fields.clear)

  for _, case in ipairs {
    { '"a"', '"a"', true }, { 'W/"a"', '"a"', true }, { '"a"', 'W/"a"', true },
    { 'W/"a"', 'W/"a"', true }, { '"a"', '"b"', false }, { '"x", "a"', '"a"', true },
    { '"x","y" , W/"a"', '"a"', true }, { '"x,a"', '"a"', false }, { '"x,a"', '"x,a"', true },
    { "*", '"a"', true }, { "*", nil, true }, { '"a"', nil, false }, { 'w/"a"', '"a"', false },
    { "", '"a"', false }, { '"A"', '"a"', false }, { 'a', '"a"', false },
  } do
    it(("If-None-Match: %s against %s is %s"):format(case[1], tostring(case[2]),
      case[3] and "304" or "200"), function()
      assert.equal(case[3], is_not_modified(inm(case[1]), case[2] and { { "ETag", case[2] } }))
    end)
  end

  for _, case in ipairs {
    { "the same date", ims(NEW), { { "Last-Modified", NEW } }, true },
    { "a later one", ims(NEW), { { "Last-Modified", OLD } }, true },
    { "an earlier one", ims(OLD), { { "Last-Modified", NEW } }, false },
    { "Date, without Last-Modified", ims(NEW), { { "Date", OLD } }, true },
    { "no date", ims "yesterday", { { "Last-Modified", OLD } }, false },
    { "nothing to compare with", ims(NEW), {}, false },
    { "an old form", ims "Sunday, 06-Nov-94 08:49:37 GMT", { { "Last-Modified", NEW } }, true },
    { "none", {}, { { "Last-Modified", OLD } }, false },
    { "less than If-None-Match says", { { "If-None-Match", '"x"' }, ims(NEW)[1] },
      { { "ETag", '"a"' }, { "Last-Modified", OLD } }, false },
  } do
    it("If-Modified-Since takes " .. case[1], function()
      assert.equal(case[4], is_not_modified(case[2], case[3]))
    end)
  end
end)

describe("ranges", function()
  before_each(fields.clear)

  local words = { [0] = "whole", "part", "unsatisfiable" }

  local function read(value, length, stored, if_range)
    local part = ffi.new("struct wr_conditional_part")
    local request = { { "Range", value } }
    if if_range then request[2] = { "If-Range", if_range } end
    local result = words[tonumber(c.wr_conditional_read_range(fields.list(request),
      fields.list(stored), length, part))]
    if result ~= "part" then return result end
    return tonumber(part.from), tonumber(part.to)
  end

  for _, case in ipairs {
    { "bytes=0-0", 10, 0, 0 }, { "bytes=2-5", 10, 2, 5 }, { "bytes=5-", 10, 5, 9 },
    { "bytes=-3", 10, 7, 9 }, { "bytes=-30", 10, 0, 9 },
    { "bytes=5-99999999999999999999", 10, 5, 9 },
    { "Bytes= 2-5 ", 10, 2, 5 }, { "bytes=9-9", 10, 9, 9 },
    { "bytes=10-", 10, "unsatisfiable" }, { "bytes=-0", 10, "unsatisfiable" },
    { "bytes=-5", 0, "unsatisfiable" }, { "bytes=0-", 0, "unsatisfiable" },
    { "bytes=99999999999999999999-", 10, "unsatisfiable" },
    { "bytes=5-2", 10, "whole" }, { "bytes=0-1,3-4", 10, "whole" }, { "lines=0-1", 10, "whole" },
    { "bytes=", 10, "whole" }, { "bytes", 10, "whole" }, { "", 10, "whole" },
    { "bytes=a-b", 10, "whole" }, { "bytes=--1", 10, "whole" }, { "bytes=1", 10, "whole" },
    { "bytes=+1-2", 10, "whole" },
  } do
    it(("'%s' of %d bytes"):format(case[1], case[2]), function()
      assert.same({ case[3], case[4] }, { read(case[1], case[2]) })
    end)
  end

  it("are obeyed only for the thing that the client has part of", function()
    local tagged = { { "ETag", '"a"' }, { "Last-Modified", OLD } }
    for condition, want in pairs {
      ['"a"'] = 0, ['"b"'] = "whole", ['W/"a"'] = "whole", [OLD] = 0, [NEW] = "whole",
    } do
      assert.equal(want, (read("bytes=0-1", 10, tagged, condition)), condition)
    end
    assert.equal("whole", (read("bytes=0-1", 10, { { "ETag", 'W/"a"' } }, '"a"')))
  end)

  it("lie inside of the body, whatever the bytes", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 20000 do
      local text = "bytes=" .. fields.noise(math.random, math.random(0, 12))
      local length = math.random(0, 20)
      local from, to = read(text, length)
      if type(from) == "number" then
        assert(from <= to and to < length, ("seed %d: %q of %d"):format(seed, text, length))
      end
      fields.clear()
    end
  end)
end)

describe("a 304", function()
  it("repeats what guides caches, not what describes the body", function()
    local h = fields.list { { "ETag", '"a"' }, { "Content-Type", "x" }, { "Last-Modified", OLD },
      { "Cache-Control", "max-age=1" }, { "Content-Location", "/x" }, { "Vary", "a" } }
    c.wr_conditional_strip(h)
    assert.same({ { "ETag", '"a"' }, { "Cache-Control", "max-age=1" }, { "Content-Location", "/x" },
      { "Vary", "a" } }, fields.read(h))
  end)
end)
