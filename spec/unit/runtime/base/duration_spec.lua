local c, ffi = require "spec.support.c" ("base/duration.h")

local function parse(text)
  local ns = ffi.new("uint64_t[1]")
  local ok = c.wr_duration_parse(ffi.new("struct wr_str", text, #text), ns)
  return ok and tonumber(ns[0]) or nil
end

describe("duration", function()
  it("reads a number with a unit", function()
    local cases = {
      { "250ms", 250e6 }, { "3s", 3e9 }, { "1.5s", 1.5e9 }, { "10m", 600e9 }, { "2h", 7200e9 },
      { "1d", 86400e9 }, { "7us", 7e3 }, { "9ns", 9 }, { "0s", 0 },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], parse(case[1]), case[1]) end
  end)

  it("refuses what is not a duration", function()
    for _, text in ipairs { "", "5", "s", "-1s", "1.s", ".5s", "5 s", "1s2", "1e3s", "4000d",
      "5S" } do
      assert.is_nil(parse(text), text)
    end
  end)

  it("writes the unit that reads best", function()
    local out = ffi.new("char[24]")
    for ns, text in pairs { [1.5e9] = "1.5s", [250e6] = "250ms", [0] = "0s", [60e9] = "1m" } do
      assert.equal(text, ffi.string(c.wr_duration_text(ns, out)))
    end
  end)
end)
