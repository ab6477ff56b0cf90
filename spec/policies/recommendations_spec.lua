--- policies/demo/recommendations.lua: personal -> cached -> popular.
local demo = require "spec.support.demo"
local wait = require "spec.support.wait"

describe("recommendations", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  local function ask(user) return d:get("/users/" .. user .. "/recommendations") end

  it("are personal while the service is well", function()
    local r = ask "ada"
    assert.equal(200, r.status)
    assert.is_nil(r.rung)
    assert.equal("ada", r.value.user)
    assert.equal(4, #r.value.items)
    d:stop()
  end)

  for _, mode in ipairs { "down", "errors", "hang", "slow" } do
    it("are the user's own of before, then everybody's, when it is told " .. mode, function()
      local before = ask "ada"
      d:tell("recommendations", mode)
      local known, unknown = ask "ada", ask "bob"
      assert.same({ 200, "cached" }, { known.status, known.rung })
      assert.same(before.value.items, known.value.items)
      assert.same({ 200, "popular" }, { unknown.status, unknown.rung })
      assert.equal("Lantern", unknown.value.items[1].name)
      d:stop()
    end)
  end

  it("come within the deadline when the service hangs", function()
    d:tell("recommendations", "hang")
    local started = wait.now()
    assert.equal("popular", ask("ada").rung)
    local took = wait.now() - started
    -- It waited, and not for the service's 10 s.
    assert.is_true(took > 0.2 and took < 5, "took " .. took)
  end)

  it("open the breaker of a service that is down, and close it when it is back", function()
    ask "ada"
    d:tell("recommendations", "down")
    d:get_until("/users/ada/recommendations", function()
      return d:status("breakers", "recommendations").state == "open"
    end)
    d:tell("recommendations", "ok")
    d:get_until("/users/ada/recommendations", function(r) return r.rung == nil end)
    d:get_until("/users/ada/recommendations", function()
      return d:status("breakers", "recommendations").state == "closed"
    end)
    d:stop()
  end)

  it("keep a name with odd characters in its path segment", function()
    local r = ask "a%20b%3Fc%23d%25"
    assert.equal(200, r.status)
    assert.equal("a b?c#d%", r.value.user)
  end)
end)
