--- policies/recommendations.lua
local demo = require "spec.support.demo"

describe("the recommendations of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/recommendations.lua" end)
  after_each(function() d:kill() end)

  local function ask(user) return d:get("/recommendations/users/" .. user) end

  for _, mode in ipairs { "down", "errors", "hang", "slow" } do
    it("are the user's own, then everybody's, when the service is told " .. mode, function()
      local before = ask "ada"
      assert.same({ 200, "ada" }, { before.status, before.value.user })
      d:tell("recommendations", mode)
      local known, unknown = ask "ada", ask "bob"
      assert.same({ 200, "cached" }, { known.status, known.rung })
      assert.same(before.value.items, known.value.items)
      assert.same({ 200, "popular" }, { unknown.status, unknown.rung })
      d:stop()
    end)
  end
end)
