--- policies/search.lua
local demo = require "spec.support.demo"

describe("the search of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/search.lua" end)
  after_each(function() d:kill() end)

  local function ask(q) return d:get("/search/full?q=" .. q) end

  it("goes down its ladder one rung at a time, and up again", function()
    local full = ask "lan"
    assert.same({ 200, "Lantern" }, { full.status, full.value.items[1].name })
    assert.is_nil(full.rung)
    d:tell("search", "down")
    local cached, simple = ask "lan", ask "com"
    assert.same({ "cached", "Lantern" }, { cached.rung, cached.value.items[1].name })
    assert.same({ "simple", "Compass" }, { simple.rung, simple.value.items[1].name })
    d:tell("products", "down")
    local empty = ask "mug"
    assert.same({ 200, "empty", 0 }, { empty.status, empty.rung, #empty.value.items })
    d:tell("search", "ok")
    d:get_until("/search/full?q=mug", function(r) return r.rung == nil end)
    d:stop()
  end)
end)
