--- policies/tenant_limit.lua
local demo = require "spec.support.demo"

describe("the tenant limit of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/tenant_limit.lua" end)
  after_each(function() d:kill() end)

  local function ask(tenant)
    return d:get("/search/full?q=a", tenant and { ["X-Tenant"] = tenant })
  end

  it("gives each tenant its rate in all workers together, and no more", function()
    for _ = 1, 2 do
      assert.equal(200, ask("ada").status)
      assert.equal(200, ask("bob").status)
    end
    local r = ask "ada"
    assert.same({ 429, "limited", "tenants", "limiter" },
      { r.status, r.value.kind, r.value.policy, r.value.primitive })
    local after = tonumber(r.headers["retry-after"])
    assert.is_true(after > 3000 and after <= 3600, after)
    assert.equal(after, r.value.retry_after)
    assert.is_truthy(r.headers["ratelimit-policy"])
    assert.equal(200, ask("cyd").status)
    d:stop()
  end)

  it("has those without a name share one rate", function()
    assert.same({ 200, 200, 429 }, { ask().status, ask().status, ask().status })
    assert.equal(200, ask("ada").status)
    d:stop()
  end)
end)
