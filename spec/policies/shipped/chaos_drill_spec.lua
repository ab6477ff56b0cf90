--- policies/chaos_drill.lua
local demo = require "spec.support.demo"

describe("the chaos drill of policies/", function()
  local d
  after_each(function() d:kill() end)

  it("does nothing until it is applied, then shows the fallback, then nothing again", function()
    d = demo.start("policies/examples/chaos_drill.lua", true)
    for _ = 1, 10 do assert.is_nil(d:get("/prices/3").rung) end
    assert.equal(200, d:admin_ask("POST", "/chaos/apply?name=prices&value=5m").status)
    for _ = 1, 5 do
      local r = d:get "/prices/3"
      assert.same({ 200, "fallback", true }, { r.status, r.rung, r.value.on_request })
    end
    assert.equal(200, d:admin_ask("POST", "/chaos/rollback?name=prices").status)
    d:get_until("/prices/3", function(r) return r.rung == nil end)
    d:stop()
  end)

  it("is refused by a weir that was not told to allow it", function()
    d = demo.start "policies/examples/chaos_drill.lua"
    assert.is_true(d:admin_ask("POST", "/chaos/apply?name=prices&value=5m").status >= 400)
    assert.is_nil(d:get("/prices/3").rung)
    d:stop()
  end)
end)
