--- policies/demo/catalogue.lua: a product that was ever looked up is served for a day.
local demo = require "spec.support.demo"

describe("catalogue", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  it("serves what it knows while its upstream is away", function()
    assert.equal(200, d:get("/products/3").status)
    d:tell("products", "down")
    local r = d:get "/products/3"
    assert.equal(200, r.status)
    assert.equal("Hammock", r.value.name)
    d:stop()
  end)

  it("says what is wrong about what it does not know", function()
    local cases = { { "errors", 500 }, { "down", 502 }, { "hang", 504 } }
    for _, case in ipairs(cases) do
      d:tell("products", case[1])
      assert.equal(case[2], d:get("/products/4").status, case[1])
    end
    d:stop()
  end)

  it("passes on that there is no such product", function()
    assert.equal(404, d:get("/products/999").status)
    assert.equal(404, d:get("/products/none").status)
  end)
end)
