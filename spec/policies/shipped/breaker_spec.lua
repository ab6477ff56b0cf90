--- policies/breaker.lua
local demo = require "spec.support.demo"

describe("the breaker of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/breaker.lua" end)
  after_each(function() d:kill() end)

  for _, mode in ipairs { "down", "errors", "hang", "slow" } do
    it("refuses at once, with Retry-After, what is " .. mode, function()
      d:tell("photos", mode)
      local r = d:get_until("/photos/ada", function(r) return r.status == 503 end)
      assert.same({ "photos", "breaker", "refused" },
        { r.value.policy, r.value.primitive, r.value.kind })
      assert.is_true(tonumber(r.headers["retry-after"]) >= 1)
    end)
  end

  it("lets traffic back when the service is well again", function()
    d:tell("photos", "down")
    d:get_until("/photos/ada", function(r) return r.status == 503 end)
    d:tell("photos", "ok")
    d:get_until("/photos/ada", function()
      return d:status("breakers", "photos").state == "closed"
    end)
    d:get_until("/photos/ada", function(r) return r.status == 200 end)
    d:stop()
  end)
end)
