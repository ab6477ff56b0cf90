--- policies/timeouts.lua
local demo = require "spec.support.demo"
local wait = require "spec.support.wait"

describe("the timeouts of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/timeouts.lua" end)
  after_each(function() d:kill() end)

  it("let a healthy dependency answer", function()
    assert.equal(200, d:get("/prices/3").status)
    d:stop()
  end)

  it("end a call to one that hangs after the limit of its kind", function()
    d:tell("prices", "hang")
    local started = wait.now()
    local r = d:get "/prices/3"
    assert.equal(504, r.status) -- ours, or that of the service, which knows the deadline
    local took = wait.now() - started
    assert.is_true(took >= 0.3 and took < 5, took)
  end)

  it("have a breaker before what is external, and none before what is not", function()
    assert.is_nil(d:status("breakers", "prices"))
    d:tell("payments", "down")
    local r = wait.for_("the breaker to open", function()
      local one = d:request("POST", "/payments/book", "{}", { ["Idempotency-Key"] = "k" })
      return one.status == 503 and one
    end, 20)
    assert.same({ "payments", "breaker" }, { r.value.policy, r.value.primitive })
    assert.equal("open", d:status("breakers", "payments").state)
  end)
end)
