--- policies/demo/product.lua: fresh price -> stale price -> no price.
local demo = require "spec.support.demo"

describe("the product page", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  it("has a fresh price while the price service is well", function()
    local r = d:get "/products/3"
    assert.equal(200, r.status)
    assert.is_nil(r.rung)
    assert.equal("EUR", r.value.price.currency)
    assert.is_true(r.value.price.cents > 0)
    assert.is_nil(r.value.price.age_s)
    d:stop()
  end)

  it("has no price when none was ever known", function()
    for _, mode in ipairs { "down", "errors", "hang" } do
      d:tell("prices", mode)
      local r = d:get "/products/3"
      assert.same({ 200, "no-price" }, { r.status, r.rung }, mode)
      assert.equal("Hammock", r.value.name)
      assert.is_nil(r.value.price)
    end
    d:stop()
  end)

  it("has the last known price, with its age, once that is no longer fresh", function()
    local before = d:get "/products/3"
    d:tell("prices", "down")
    local r = d:get_until("/products/3", function(answer) return answer.rung == "stale-price" end)
    assert.equal(200, r.status)
    assert.equal(before.value.price.cents, r.value.price.cents)
    assert.is_true(r.value.price.age_s >= 5)
    d:stop()
  end)
end)
