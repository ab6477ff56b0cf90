--- policies/payment.lua
local demo = require "spec.support.demo"

describe("the payment of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/payment.lua" end)
  after_each(function() d:kill() end)

  local function pay(path, key, cents)
    return d:request("POST", path, ('{"amount_cents":%d}'):format(cents or 500),
      { ["Idempotency-Key"] = key, ["Content-Type"] = "application/json" })
  end

  it("is the provider's answer while there is one, once for each key", function()
    local first, again = pay("/payments/book", "k1"), pay("/payments/book", "k1")
    assert.same({ 201, 200 }, { first.status, again.status })
    assert.same(first.value.booking, again.value.booking)
    assert.equal(402, pay("/payments/book", "k2", 200000).status)
    assert.equal(400, d:request("POST", "/payments/book", "{}").status)
    d:stop()
  end)

  it("is accepted for later when the provider is away, and nothing is lost", function()
    d:tell("payments", "errors")
    local r = pay("/payments/book", "k3")
    assert.same({ 202, "accepted", "/kept/k3" }, { r.status, r.rung, r.headers.location })
    assert.equal('{"amount_cents":500}', d:get("/kept/k3").body)
  end)

  it("says what is known when nothing can be accepted", function()
    d:tell("payments", "hang")
    local r = pay("/strict/book", "k4")
    assert.same({ 503, "unknown" }, { r.status, r.value.state })
    assert.is_true(tonumber(r.headers["retry-after"]) >= 1)
    -- The breaker opens; from then on nothing leaves, and that is said.
    d:tell("payments", "down")
    local refused
    for _ = 1, 200 do
      refused = pay("/strict/book", "k5")
      if refused.value.state == "not_booked" then break end
    end
    assert.same({ 503, "not_booked" }, { refused.status, refused.value.state })
    assert.equal("open", d:status("breakers", "strict").state)
  end)
end)
