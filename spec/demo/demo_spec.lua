--- scripts/run --check goes through the five things to try of the demo, and scripts/run itself
--- starts and stops everything.
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function slurp(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

local function children_of(pid)
  local pids = {}
  local text = slurp(("/proc/%d/task/%d/children"):format(pid, pid))
  for child in text:gmatch "%d+" do pids[#pids + 1] = child end
  return pids
end

describe("scripts/run", function()
  local p
  after_each(function() p:kill() end)

  it("finds all as it should be", function()
    p = process.spawn { "scripts/run", "--check", env = { WEIR_PRESET = process.preset() } }
    p:wait(120)
    local out = p:stdout()
    assert.equal(0, p.code, out .. p:stderr())
    assert.is_truthy(out:find("all as it should be", 1, true), out)
    assert.is_true(select(2, out:gsub("\n   ok  ", "")) >= 30, out)
    assert.is_nil(out:find("FAIL", 1, true))
  end)

  it("says what is wrong when a port is taken, and leaves nothing behind", function()
    local socket = require "socket"
    local taken = assert(socket.bind("127.0.0.1", 0))
    local _, port = taken:getsockname()
    p = process.spawn { "scripts/run", "--check", "--shop", port,
      env = { WEIR_PRESET = process.preset() } }
    p:wait(60)
    taken:close()
    assert.equal(1, p.code, p:stdout() .. p:stderr())
    assert.is_truthy(p:stderr():find(tostring(port), 1, true), p:stderr())
  end)

  it("stops what it started when it is told to", function()
    p = process.spawn { "scripts/run", "--check", env = { WEIR_PRESET = process.preset() } }
    p:line("2  watch the breaker", 60)
    local children = children_of(p.pid)
    assert.is_true(#children >= 3) -- two weirs and scripts/live
    p:signal "TERM"
    p:wait(30)
    assert.equal(143, p.code)
    wait.for_("its children to be gone", function()
      for _, pid in ipairs(children) do
        if slurp("/proc/" .. pid .. "/stat") then return false, pid end
      end
      return true
    end)
  end)
end)
