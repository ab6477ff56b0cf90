local c, ffi = require "spec.support.c" ("resilience/retry_after.h")

-- Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
local EXAMPLE = 784111777
local TODAY = 1795219200 -- 2026-11-21

local function slice(text)
  return ffi.new("struct wr_str", text, #text)
end

local function parse(text, wall)
  local ns = ffi.new("uint64_t[1]", 77)
  if c.wr_retry_after_parse(slice(text), wall or TODAY, ns) then return tonumber(ns[0]) / 1e9 end
  assert.equal(77ULL, ns[0], "a refused value leaves the result alone")
end

local function date(text, wall)
  local at = ffi.new("int64_t[1]")
  if c.wr_retry_after_date(slice(text), wall or TODAY, at) then return tonumber(at[0]) end
end

describe("Retry-After", function()
  it("is a number of seconds", function()
    local cases = {
      { "0", 0 }, { "1", 1 }, { "120", 120 }, { "007", 7 }, { " 5\t", 5 },
      { "99999999999999999999999999", 315360000 },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], parse(case[1]), case[1]) end
  end)

  it("is a date in any of the three forms", function()
    for _, text in ipairs {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    } do
      assert.equal(EXAMPLE, date(text, EXAMPLE), text)
      assert.equal(23, parse(text, EXAMPLE - 23), text)
      assert.equal(0, parse(text, EXAMPLE), text)
      assert.equal(0, parse(text, EXAMPLE + 1), "a date that has passed")
    end
    assert.equal(EXAMPLE + 6 * 86400, date("Sat Nov 12 08:49:37 1994"))
  end)

  it("knows the calendar", function()
    local cases = {
      { "Thu, 01 Jan 1970 00:00:00 GMT", 0 }, { "Wed, 31 Dec 1969 23:59:59 GMT", -1 },
      { "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 },
      { "Tue, 29 Feb 2000 00:00:00 GMT", 951782400 },
      { "Sat, 21 Nov 2026 00:00:00 GMT", TODAY }, { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
      { "Tue, 19 Jan 2038 03:14:08 GMT", 2147483648 },
      { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
      { "Sat, 01 Jan 0000 00:00:00 GMT", -62167219200 },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], date(case[1]), case[1]) end
    assert.equal(315360000, parse "Fri, 31 Dec 9999 23:59:59 GMT", "bounded like every duration")
  end)

  it("reads two digits of a year as at most 50 years ahead", function()
    local function year(text, wall)
      return os.date("!%Y", date("Friday, 06-Nov-" .. text .. " 00:00:00 GMT", wall))
    end
    assert.equal("2027", year("27", TODAY))
    assert.equal("2076", year("76", TODAY))
    assert.equal("1977", year("77", TODAY))
    assert.equal("1999", year("99", TODAY))
    assert.equal("2101", year("01", 3471292800), "in 2080")
  end)

  it("is refused when it is neither", function()
    for _, text in ipairs {
      "", " ", "-1", "+1", "1.5", "1s", "0x10", "1 2", "soon",
      "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 GMT+1",
      "sun, 06 nov 1994 08:49:37 gmt", "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun 06 Nov 1994 08:49:37 GMT",
      "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nom 1994 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 29 Feb 1900 08:49:37 GMT",
      "Sun, 29 Feb 2023 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 06 Nov 94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
      "Sun, 06-Nov-94 08:49:37 GMT",
      "Sun Nov 6 08:49:37 1994", "Sun Nov 06 08:49:37 94", "Sun Nov  6 08:49:37 1994 GMT",
    } do
      assert.is_nil(parse(text), text)
    end
  end)

  it("refuses every beginning of a date, and reads no byte past its end", function()
    for _, text in ipairs {
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
    } do
      for n = 0, #text - 1 do
        local copy = ffi.new("char[?]", math.max(n, 1))
        ffi.copy(copy, text, n)
        local ns = ffi.new("uint64_t[1]")
        assert.is_false(c.wr_retry_after_parse(ffi.new("struct wr_str", copy, n), TODAY, ns),
          text:sub(1, n))
      end
    end
  end)
end)
