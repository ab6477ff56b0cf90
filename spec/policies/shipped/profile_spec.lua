--- policies/profile.lua
local demo = require "spec.support.demo"

describe("the profile of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/profile.lua" end)
  after_each(function() d:kill() end)

  it("is fresh, then remembered, then a guest's", function()
    assert.same({ 200, "ada" }, { d:get("/users/ada").status, d:get("/users/ada").value.user })
    d:tell("recommendations", "hang")
    local known = d:get_until("/users/ada", function(r) return r.rung == "remembered" end)
    assert.equal("ada", known.value.user)
    local unknown = d:get "/users/bob"
    assert.same({ 200, "guest", "guest" }, { unknown.status, unknown.rung, unknown.value.user })
    d:tell("recommendations", "ok")
    d:get_until("/users/bob", function(r) return r.rung == nil and r.value.user == "bob" end)
    d:stop()
  end)
end)
