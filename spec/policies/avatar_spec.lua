--- policies/demo/avatar.lua: photo -> initials.
local demo = require "spec.support.demo"

describe("avatar", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  local function ask(user) return d:get("/users/" .. user .. "/avatar") end

  it("is the photo while the service is well", function()
    local r = ask "ada.lovelace"
    assert.equal(200, r.status)
    assert.is_nil(r.rung)
    assert.equal("image/svg+xml", r.headers["content-type"])
    assert.is_truthy(r.body:find("<path", 1, true))
    d:stop()
  end)

  for _, mode in ipairs { "down", "errors", "hang" } do
    it("is a circle with initials when it is told " .. mode, function()
      d:tell("photos", mode)
      local r = ask "ada.lovelace"
      assert.same({ 200, "initials" }, { r.status, r.rung })
      assert.equal("image/svg+xml", r.headers["content-type"])
      assert.equal("no-store", r.headers["cache-control"])
      assert.is_truthy(r.body:find(">AL</text>", 1, true), r.body)
      assert.is_truthy(r.body:find("<circle", 1, true), r.body)
      d:stop()
    end)
  end

  it("has the same colour for the same user, and no markup of any", function()
    d:tell("photos", "errors")
    assert.equal(ask("ada").body, ask("ada").body)
    local cases = {
      ["grace.hopper.x"] = "GH", ada = "A", ["%3Cscript%3E"] = "S", ["%26%22%3C"] = "?",
    }
    for user, letters in pairs(cases) do
      assert.is_truthy(ask(user).body:find(">" .. letters .. "</text>", 1, true), user)
    end
  end)
end)
