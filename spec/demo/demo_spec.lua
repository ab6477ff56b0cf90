--- scripts/run --check goes through the five things to try of the demo, and scripts/run itself
--- starts and stops everything.
local process = require "spec.support.process"
local wait = require "spec.support.wait"

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
    p:line "2  watch the breaker"
    local children = {}
    local pipe = io.popen("ps -o pid= --ppid " .. p.pid)
    for pid in pipe:read("*a"):gmatch "%d+" do children[#children + 1] = pid end
    pipe:close()
    assert.is_true(#children >= 3)
    p:signal "TERM"
    p:wait(30)
    assert.equal(143, p.code)
    wait.for_("its children to be gone", function()
      return os.execute("ps -p " .. table.concat(children, ",") .. " >/dev/null") ~= 0
    end)
  end)
end)
