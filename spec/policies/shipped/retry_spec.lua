--- policies/retry.lua
local demo = require "spec.support.demo"

describe("the retry of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/retry.lua" end)
  after_each(function() d:kill() end)

  local function well(count)
    local good = 0
    for _ = 1, count do
      if d:get("/search/full?q=lamp").status == 200 then good = good + 1 end
    end
    return good
  end

  it("mends what fails now and then, as long as its budget lasts", function()
    d:tell("search", "flaky") -- one call in three
    local good = well(60)
    local function calls(kind)
      return d:metric("weir_retry_calls_total", 'name="search"', ('kind="%s"'):format(kind))
    end
    local mended = calls "successful_with_retry"
    assert.is_true(mended >= 1)
    assert.equal(good, calls "successful_without_retry" + mended)
    d:stop()
  end)

  it("does not multiply an outage", function()
    d:tell("search", "down")
    assert.equal(0, well(40))
    local attempts, calls = d:metric("weir_retry_attempts_total", 'name="search"',
      'reason="retry"'), 40
    assert.is_true(attempts >= 3 and attempts <= calls * 0.2 + 4, attempts)
  end)

  it("keeps within its deadline", function()
    d:tell("search", "hang")
    local r = d:get "/search/full?q=lamp"
    assert.equal(504, r.status)
  end)
end)
