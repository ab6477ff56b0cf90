--- What a service manager hears: a socket of the spec's own in place of systemd's.
local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local unix = require "socket.unix"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /x", function() return "$(text)" end)
]]
-- systemd's clock for a reload.
local function monotonic_us()
  return math.floor(wait.now() * 1e6)
end

describe("the service manager", function()
  local manager, path, heard, g

  before_each(function()
    path = os.tmpname()
    os.remove(path)
    manager = assert(unix.dgram())
    assert(manager:bind(path))
    assert(os.execute("chmod 777 " .. path) == 0)
    manager:settimeout(0)
    heard = {}
  end)

  after_each(function()
    if g then g:kill() end
    g = nil
    manager:close()
    os.remove(path)
  end)

  -- Reads what has come. Each message is a table of its fields.
  local function listen()
    while true do
      local text = manager:receive()
      if not text then return heard end
      local fields = {}
      for name, value in text:gmatch "([%u_]+)=([^\n]*)" do fields[name] = value end
      heard[#heard + 1] = fields
    end
  end

  -- Waits for message `n` of those that have `field`.
  local function hear(field, n)
    return wait.for_("message " .. n .. " with " .. field, function()
      local count = 0
      for _, fields in ipairs(listen()) do
        count = count + (fields[field] and 1 or 0)
        if count == n then return fields end
      end
    end)
  end

  local function start(options)
    options[1] = options[1] or MAIN
    options.env = options.env or {}
    options.env.NOTIFY_SOCKET = options.env.NOTIFY_SOCKET or path
    options.text = "one"
    g = gateway.start(options)
  end

  -- The order of messages, the watchdog's left out.
  local function order()
    local words = {}
    for _, fields in ipairs(listen()) do
      words[#words + 1] = fields.READY and "ready" or fields.RELOADING and "reloading"
        or fields.STOPPING and "stopping"
    end
    return table.concat(words, " ")
  end

  it("hears when weir is ready, reloads and stops, and how it is", function()
    start {}
    assert.same({ READY = "1", STATUS = "generation 1 is live: 1 routes, 2 workers" },
      hear("READY", 1))
    local before = monotonic_us()
    g.vars.text = "two"
    assert.equal("live", g:reload({ MAIN }).result)
    local reloading = hear("RELOADING", 1)
    local at = tonumber(reloading.MONOTONIC_USEC)
    assert.is_true(at >= before and at <= monotonic_us(), "MONOTONIC_USEC is " .. at)
    assert.equal("generation 2 is live: 1 routes, 2 workers", hear("READY", 2).STATUS)
    g:stop()
    assert.same({ STOPPING = "1", STATUS = "stopping: finishing what is under way" },
      hear("STOPPING", 1))
    assert.equal("ready reloading ready stopping", order())
  end)

  it("hears why a reload failed, and that weir is as ready as before", function()
    start {}
    assert.equal("failed", g:reload({ "\n\noops(" }).result)
    assert.matches("^generation 1 is live; the last reload failed %(load%): main.lua:3: ",
      hear("READY", 2).STATUS)
    assert.equal("live", g:reload({ MAIN }).result)
    assert.equal("generation 1 is live: 1 routes, 2 workers", hear("READY", 3).STATUS)
    g:expect "reload"
    g:stop()
    assert.equal("ready reloading ready reloading ready stopping", order())
  end)

  it("never hears of a start that failed but why", function()
    local code = gateway.fail_to_start { "oops(", env = { NOTIFY_SOCKET = path } }
    assert.equal(78, code)
    assert.matches("^stopping: main.lua:1: ", hear("STOPPING", 1).STATUS)
    assert.equal("stopping", order())
  end)

  it("hears that the loop turns, and nothing while it does not", function()
    start { env = { WATCHDOG_USEC = "200000" } }
    hear("WATCHDOG", 3)
    g.process:signal "STOP"
    wait.for_("the master to stand still", function()
      local file = assert(io.open("/proc/" .. g.process.pid .. "/stat"))
      local state = file:read("*a"):match "%) (%a)"
      file:close()
      return state == "T"
    end)
    local count = #listen()
    -- A worker lives on meanwhile.
    assert.equal("one", g:get("/x").body)
    assert.equal(count, #listen())
    g.process:signal "CONT"
    hear("WATCHDOG", count)
    g:stop()
  end)

  it("is not told of a watchdog that watches another process", function()
    start { env = { WATCHDOG_USEC = "2000", WATCHDOG_PID = "1" } }
    g.vars.text = "two"
    assert.equal("live", g:reload({ MAIN }).result)
    g:stop()
    hear("STOPPING", 1)
    assert.equal("ready reloading ready stopping", order())
    for _, fields in ipairs(heard) do assert.is_nil(fields.WATCHDOG) end
  end)

  it("is told through an abstract socket, too", function()
    -- The paths of luasocket end at a NUL.
    local name = "weir-notify" .. path
    local p = process.spawn { "/usr/bin/python3", "-uc", ([[
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0%s")
print("bound")
while True: print(s.recv(4096).decode())]]):format(name) }
    p:line "bound"
    start { env = { NOTIFY_SOCKET = "@" .. name } }
    p:line "READY=1\nSTATUS=generation 1 is live"
    g:stop()
    p:line "STOPPING=1"
    p:kill()
  end)

  it("is not waited for when it takes nothing, and that is logged", function()
    start {}
    manager:close()
    g.vars.text = "two"
    assert.equal("live", g:reload({ MAIN }).result)
    assert.matches("cannot tell the service manager %(NOTIFY_SOCKET%): Connection refused",
      g:wait_log("notify").message)
    g:expect "notify"
    g:stop()
    manager = assert(unix.dgram())
  end)

  it("is named by a variable that must make sense", function()
    local cases = {
      { { NOTIFY_SOCKET = "notify.sock" }, "NOTIFY_SOCKET is 'notify.sock'; it must be a path, or "
        .. "'@' and a name, of at most 107 bytes" },
      { { NOTIFY_SOCKET = "/" .. ("x"):rep(107) }, "of at most 107 bytes" },
      { { NOTIFY_SOCKET = path, WATCHDOG_USEC = "soon" }, "WATCHDOG_USEC is 'soon'; it must be a "
        .. "number of microseconds, 1000 or more" },
      { { NOTIFY_SOCKET = path, WATCHDOG_USEC = "999" }, "1000 or more" },
    }
    for _, case in ipairs(cases) do
      local code, err = gateway.fail_to_start { MAIN, text = "", env = case[1] }
      assert.equal(2, code)
      assert.truthy(err:find(case[2], 1, true), err)
    end
  end)
end)
