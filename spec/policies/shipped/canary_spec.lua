--- policies/canary.lua
local demo = require "spec.support.demo"
local json = require "cjson"

describe("the canary of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/canary.lua" end)
  after_each(function() d:kill() end)

  local function ask(user) return d:get("/recommendations/users/" .. user) end

  -- Of users 1 .. count: who is served by the canary.
  local function served(count)
    local set, sum = {}, 0
    for i = 1, count do
      local r = ask("u" .. i)
      assert.equal(200, r.status)
      local variant = r.headers["x-variant"]
      assert.is_true(variant == "canary" or variant == "stable")
      assert.equal(variant == "canary", r.value.facets ~= nil) -- who says so has served it
      if variant == "canary" then set[i], sum = true, sum + 1 end
    end
    return set, sum
  end

  local function flag(what)
    local r = d:admin_ask("POST", "/flags/" .. what)
    assert.equal(200, r.status, r.body)
  end

  it("serves about its share, always the same users, and more of them when it is raised", function()
    local before, sum = served(200)
    assert.is_true(sum >= 1 and sum <= 60, sum)
    assert.same(before, (served(200)))
    flag "percent?name=new-recommendations&value=50"
    local more, count = served(200)
    assert.is_true(count > 60 and count < 140, count)
    for i in pairs(before) do assert.is_true(more[i], "user " .. i) end
    flag "off?name=new-recommendations"
    assert.equal(0, select(2, served(50)))
    d:stop()
  end)

  it("answers from the stable version when the new one fails, and then leaves it alone", function()
    flag "on?name=new-recommendations"
    assert.equal("canary", ask("ada").headers["x-variant"])
    d:tell("search", "errors")
    d:get_until("/recommendations/users/ada", function(r)
      assert.same({ 200, "stable" }, { r.status, r.headers["x-variant"] })
      return d:status("breakers", "new-recommendations").state == "open"
    end)
    assert.is_nil(json.decode(ask("ada").body).facets)
  end)
end)
