--- policies/demo/search.lua: full -> simple -> recent.
local demo = require "spec.support.demo"

describe("search", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  it("is full while the engine is well", function()
    local r = d:get "/search?q=lamp"
    assert.equal(200, r.status)
    assert.is_nil(r.rung)
    assert.equal("Headlamp", r.value.items[1].name)
    assert.is_table(r.value.facets)
    d:stop()
  end)

  it("matches names by the catalogue when the engine is away", function()
    d:tell("search", "down")
    local r = d:get "/search?q=lamp"
    assert.same({ 200, "simple" }, { r.status, r.rung })
    assert.equal("Headlamp", r.value.items[1].name)
    assert.is_nil(r.value.facets)
    d:stop()
  end)

  it("shows what was found last when the catalogue is away too", function()
    d:get "/search?q=lamp"
    d:tell("search", "down")
    d:tell("products", "errors")
    local r = d:get "/search?q=kettle"
    assert.same({ 200, "recent" }, { r.status, r.rung })
    assert.equal("Headlamp", r.value.items[1].name)
    d:stop()
  end)

  it("has an empty list of nothing found yet", function()
    d:tell("search", "down")
    d:tell("products", "down")
    local r = d:get "/search?q=kettle"
    assert.same({ 200, "recent" }, { r.status, r.rung })
    assert.is_truthy(r.body:find('"items":[]', 1, true), r.body)
  end)

  it("wants a query", function()
    assert.equal(400, d:get("/search").status)
  end)

  it("leaves the catalogue's breaker alone when only the engine fails", function()
    d:tell("search", "down")
    d:get_until("/search?q=lamp", function()
      return d:status("breakers", "search").state == "open"
    end)
    assert.equal("closed", d:status("breakers", "products").state)
  end)
end)
