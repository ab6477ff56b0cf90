--- The loop's second driver: what happens in which order, and what ends it
--- (spec/native/virtual_time.c).
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function run(...)
  local p = process.spawn { process.program "virtual_time", ... }
  assert.equal(0, p:wait(20), p:stderr())
  local lines = {}
  for line in p:stdout():gmatch "[^\n]+" do lines[#lines + 1] = line end
  p:kill()
  return lines
end

describe("virtual time", function()
  it("jumps from one timer to the next, an hour like a millisecond", function()
    local from = wait.now()
    assert.same({ "b 1", "c 2", "a 3.6e+06", "dry" }, run("a@3600000", "b@1", "c@2"))
    assert.is_true(wait.now() - from < 60)
  end)

  it("stands still while anything is to be done", function()
    assert.same({ "early 1", "early's work 1", "late 5", "dry" }, run("early@1!defer", "late@5"))
    assert.same({ "a 0", "a's work 0", "dry" }, run "a@0!defer")
  end)

  it("fires what is stopped not at all, and what is moved when it is due then", function()
    assert.same({ "first 1", "dry" }, run("first@1!cancel", "stopped@5"))
    assert.same({ "first 1", "moved 11", "dry" }, run("first@1!move=10", "moved@2"))
    assert.same({ "first 1", "moved 3", "dry" }, run("first@1!move=2", "moved@20"))
  end)

  it("comes back before what is beyond its last moment, and goes on from there", function()
    assert.same({ "a 10", "late", "b 2000", "dry" }, run("until=1000", "a@10", "b@2000"))
    assert.same({ "a 1000", "dry" }, run("until=1000", "a@1000"))
  end)

  it("comes back when it is told to, at the end of the turn", function()
    assert.same({ "a 1", "stopped", "b 2", "dry" }, run("a@1!stop", "b@2"))
  end)

  it("comes back when its processor time is over, however much is to be done", function()
    local lines = run("work=50", "again@1!again")
    assert.equal("again 1", lines[1])
    assert.equal("again 2", lines[2])
    assert.equal("slow", lines[#lines])
  end)

  it("is over at once when nothing is to be done", function()
    assert.same({ "dry" }, run())
  end)
end)
