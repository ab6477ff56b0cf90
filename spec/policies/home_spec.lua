--- policies/demo/home.lua: the front page is there whatever fails.
local demo = require "spec.support.demo"

describe("the front page", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  it("shows product, recommendations and avatar, and needs nothing from elsewhere", function()
    local r = d:get "/"
    assert.equal(200, r.status)
    assert.equal("text/html; charset=utf-8", r.headers["content-type"])
    for _, text in ipairs { "A fine hammock.", "EUR", '<b class="ok">personal</b>',
      '<img src="/users/ada.lovelace/avatar"' } do
      assert.is_truthy(r.body:find(text, 1, true), text)
    end
    assert.is_nil(r.body:find "https?://")
    d:stop()
  end)

  it("says which rung served each part", function()
    d:tell("recommendations", "down")
    d:tell("prices", "down")
    local r = d:get "/"
    assert.equal(200, r.status)
    assert.is_truthy(r.body:find('<b class="less">popular</b>', 1, true), r.body)
    assert.is_truthy(r.body:find('<b class="less">no-price</b>', 1, true), r.body)
    d:stop()
  end)

  it("is there when everything is away", function()
    for _, service in ipairs { "recommendations", "search", "products", "prices", "photos" } do
      d:tell(service, "down")
    end
    local r = d:get "/"
    assert.equal(200, r.status)
    assert.is_truthy(r.body:find("The catalogue is away.", 1, true), r.body)
    assert.is_truthy(r.body:find('<b class="less">popular</b>', 1, true), r.body)
    d:stop()
  end)
end)
