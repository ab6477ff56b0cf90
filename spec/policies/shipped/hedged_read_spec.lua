--- policies/hedged_read.lua
local demo = require "spec.support.demo"

describe("the hedged read of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/hedged_read.lua" end)
  after_each(function() d:kill() end)

  local function calls(kind)
    return d:metric("weir_hedge_calls_total", 'name="prices"', ('kind="%s"'):format(kind))
  end

  it("asks a second time what is slow", function()
    d:tell("prices", "hang")
    for _ = 1, 4 do assert.equal(504, d:get("/prices/3").status) end
    assert.is_true(calls "started_slow" >= 1)
    assert.is_true(calls "started_slow" <= 2) -- half of the calls at most, whatever happens
  end)

  it("asks a second time, at once, what failed", function()
    d:tell("prices", "flaky") -- one call in three fails
    for _ = 1, 60 do d:get "/prices/3" end
    assert.is_true(calls "started_failed" >= 1)
    assert.is_true(calls "hedge" >= 1) -- the second attempt won
    d:stop()
  end)
end)
