--- policies/demo/upstreams.lua: services that do as they are told.
local demo = require "spec.support.demo"
local json = require "cjson"

describe("the demo's upstreams", function()
  local d
  before_each(function() d = demo.start() end)
  after_each(function() d:kill() end)

  it("list what they were told, in every worker", function()
    d:tell("search", "errors")
    for _ = 1, 20 do -- connections of their own, so both workers are asked
      local modes = json.decode(d:ask_upstream("GET", "/modes").body)
      assert.equal("errors", modes.search)
      assert.equal("ok", modes.photos)
    end
    d:stop()
  end)

  it("refuse to be told what they do not know", function()
    local r = d:ask_upstream("POST", "/search/mode", "sideways")
    assert.equal(400, r.status)
    assert.is_truthy(r.body:find("down, errors, flaky, hang, ok, slow", 1, true), r.body)
  end)

  it("answer 500 when told errors, and nothing at all when told down", function()
    d:tell("search", "errors")
    assert.equal(500, d:ask_upstream("GET", "/search/full?q=x").status)
    d:tell("search", "down")
    assert.has_error(function() d:ask_upstream("GET", "/search/full?q=x") end)
    d:tell("search", "ok")
    assert.equal(200, d:ask_upstream("GET", "/search/full?q=x").status)
    d:stop()
  end)

  it("fail now and then when told flaky", function()
    d:tell("photos", "flaky")
    local good, bad = 0, 0
    for _ = 1, 60 do -- all alike with a chance of 1 in 3e10
      if pcall(d.ask_upstream, d, "GET", "/photos/ada") then good = good + 1 else bad = bad + 1 end
    end
    assert.is_true(good > 0 and bad > 0, good .. " good, " .. bad .. " bad")
  end)

  it("forget nothing when they are reloaded", function()
    d:tell("photos", "errors")
    d.children[2]:signal "HUP"
    assert.equal(500, d:ask_upstream("GET", "/photos/ada").status)
    d:stop()
  end)
end)
