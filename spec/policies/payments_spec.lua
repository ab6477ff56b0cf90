--- policies/demo/payments.lua: confirmed now -> accepted now and confirmed later, booked once.
local demo = require "spec.support.demo"
local json = require "cjson"

describe("payments", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  local function pay(cents)
    return d:request("POST", "/payments", json.encode { amount_cents = cents })
  end

  local function settled(r)
    return r.value.state ~= "accepted"
  end

  it("are confirmed at once while the provider is well", function()
    local r = pay(1250)
    assert.equal(201, r.status)
    assert.is_nil(r.rung)
    assert.equal("confirmed", r.value.state)
    assert.equal("confirmed", d:get("/payments/" .. r.value.id).value.state)
    d:stop()
  end)

  for _, mode in ipairs { "down", "errors", "hang", "slow" } do
    it("are accepted while it is told " .. mode .. ", and confirmed when it is back", function()
      d:tell("payments", mode)
      local r = pay(1250)
      assert.same({ 202, "accepted" }, { r.status, r.rung })
      assert.equal("/payments/" .. r.value.id, r.headers.location)
      assert.equal("accepted", d:get(r.headers.location).value.state)
      d:tell("payments", "ok")
      local done = d:get_until(r.headers.location, settled).value
      assert.same({ "confirmed", 1250, "B-" .. r.value.id:sub(1, 8) },
        { done.state, done.amount_cents, done.detail })
      d:stop()
    end)
  end

  it("are declined when the provider says so, at once or later", function()
    local r = pay(100001)
    assert.same({ 402, "declined" }, { r.status, r.value.state })
    d:tell("payments", "down")
    local accepted = pay(100001)
    assert.equal(202, accepted.status)
    d:tell("payments", "ok")
    assert.equal("declined", d:get_until(accepted.headers.location, settled).value.state)
    d:stop()
  end)

  it("are refused when the amount is no amount", function()
    local bodies = { "", "x", "[]", "7", "{}", '{"amount_cents":"5"}', '{"amount_cents":0}',
      '{"amount_cents":-1}', '{"amount_cents":1.5}', '{"amount_cents":null}' }
    for _, body in ipairs(bodies) do
      assert.equal(400, d:request("POST", "/payments", body).status, body)
    end
    assert.equal(413, d:request("POST", "/payments", ("x"):rep(5000)).status)
    assert.equal(404, d:get("/payments/none").status)
    d:stop()
  end)

  it("go on through a reload of the shop's policies", function()
    d:tell("payments", "down")
    local r = pay(1250)
    assert.equal(202, r.status)
    d.children[1]:signal "HUP"
    d:tell("payments", "ok")
    assert.equal("confirmed", d:get_until(r.headers.location, settled).value.state)
    d:stop()
  end)
end)
