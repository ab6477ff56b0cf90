local c, ffi = require "spec.support.c" ("resilience/priority.h")

local function of(word)
  return tonumber(c.wr_priority_of(ffi.new("struct wr_str", { word, #word })))
end

describe("priority", function()
  it("has five words, the most important first", function()
    for i, word in ipairs { "critical", "high", "normal", "low", "background" } do
      assert.equal(i - 1, of(word))
      assert.equal(word, ffi.string(c.wr_priority_name(i - 1)))
    end
  end)

  it("knows no other word", function()
    for _, word in ipairs { "", "Critical", "critical ", "urgent", "lo" } do
      assert.equal(c.WR_PRIORITIES, of(word), word)
    end
  end)
end)
