--- A response that flows outlives the rules it was asked under: server-sent events go on through
--- more reloads than there may be generations.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

-- Past what may drain at once, so that the oldest have to let go of their scripts.
local RELOADS = 6

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("events", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local guarded = weir.policy("events", { weir.bulkhead { max = 10 } })
  weir.route("/version", function() return "$(version)" end)
  weir.route("GET /*rest", { deadline = "60s" }, function(req)
    return guarded(function() return up:forward(req) end)
  end)
]]

-- Events whose next one comes when the spec says so.
local function events(name)
  local steps = { "send:HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n" }
  for i = 1, RELOADS do
    local event = ("data: %s %d\n\n"):format(name, i)
    steps[#steps + 1] = ("send:%x\r\n%s\r\n"):format(#event, event)
    steps[#steps + 1] = "until:" .. name .. i
  end
  steps[#steps + 1] = "send:0\r\n\r\n"
  return origin.target(steps)
end

describe("server-sent events", function()
  local g, o
  local clients = {}

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, version = 0, SCRIPT }
  end)

  teardown(function()
    for _, client in pairs(clients) do client:kill() end
    g:stop()
    o:kill()
  end)

  it("go on through reloads, over HTTP/1.1 and HTTP/2, and hold their permit to the end", function()
    for name, flag in pairs { one = "--http1.1", two = "--http2-prior-knowledge" } do
      clients[name] = process.spawn { "/usr/bin/curl", "-sSN", "--max-time", "60", flag,
        "http://127.0.0.1:" .. g.port .. events(name) }
    end
    local wanted = { one = "", two = "" }
    for i = 1, RELOADS do
      for name, client in pairs(clients) do
        wanted[name] = wanted[name] .. ("data: %s %d\n\n"):format(name, i)
        wait.for_("event " .. i, function() return client:stdout() == wanted[name] end)
      end
      assert.equal(2, g:bulkhead "events".in_use)
      assert.equal("live", g:reload({ SCRIPT, version = i }).result)
      assert.equal(tostring(i), g:get("/version").body)
      for name in pairs(clients) do o:release(name .. i) end
    end
    for _, client in pairs(clients) do assert.equal(0, client:wait(20), client:stderr()) end
    g:wait_idle()
    wait.for_("both to be logged", function()
      return #g:log("access", { status = 200, why = "ok", upstream = "events" }) == 2
    end)
  end)
end)
