--- policies/shedding.lua
local demo = require "spec.support.demo"
local json = require "cjson"
local wait = require "spec.support.wait"

describe("the shedding of policies/", function()
  local d
  before_each(function() d = demo.start "policies/examples/shedding.lua" end)
  after_each(function() d:kill() end)

  local function holds(in_use, queued)
    wait.for_(("%d in use, %d queued"):format(in_use, queued), function()
      local s = d:status("shedders", "front")
      return s.in_use == in_use and s.queued == queued, json.encode(s)
    end)
  end

  local function refusal(c)
    local r = c:response()
    local problem = json.decode(r.body)
    assert.same({ 503, "shed", "search", "shedder" },
      { r.status, problem.kind, problem.policy, problem.primitive })
    assert.is_true(tonumber(r.headers["retry-after"]) >= 1)
  end

  it("drops the less important for the more important, and serves what is in", function()
    d:tell("search", "hang")
    local inside = { d:begin "/search/full?q=a", d:begin "/search/full?q=b" }
    holds(2, 0)
    local queued = d:begin "/search/full?q=c"
    holds(2, 1)
    refusal(d:begin "/search/full?q=d") -- no room, and no more important than what waits
    local important = d:begin "/prices/3"
    refusal(queued)
    holds(2, 1)
    inside[1]:close()
    assert.equal(200, important:response().status)
    inside[2]:close()
    holds(0, 0)
    d:stop()
  end)
end)
