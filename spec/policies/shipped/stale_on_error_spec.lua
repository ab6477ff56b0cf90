--- policies/stale_on_error.lua
local demo = require "spec.support.demo"

describe("the stale-on-error of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/stale_on_error.lua" end)
  after_each(function() d:kill() end)

  for _, mode in ipairs { "down", "errors", "hang" } do
    it("gives what it gave before when the service is told " .. mode, function()
      local before = d:get "/prices/3"
      assert.same({ 200 }, { before.status, before.rung })
      d:tell("prices", mode)
      local after = d:get "/prices/3"
      assert.same({ 200, "stale" }, { after.status, after.rung })
      assert.same(before.value, after.value)
      assert.is_true(d:get("/prices/4").status >= 500)
    end)
  end

  it("keeps answers apart by path and query, and keeps no errors", function()
    assert.equal(404, d:get("/prices/999").status)
    d:get "/prices/3"
    d:tell("prices", "down")
    assert.is_true(d:get("/prices/999").status >= 500)
    assert.is_true(d:get("/prices/3?x=1").status >= 500)
    assert.equal("stale", d:get("/prices/3").rung)
    d:tell("prices", "ok")
    assert.is_nil(d:get("/prices/3").rung)
    d:stop()
  end)
end)
