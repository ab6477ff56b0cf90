--- What a request takes from the heap once the worker is warm: nothing, its Lua state included.
--- And what a connection keeps that waits for its next one.
local gateway = require "spec.support.gateway"
local heap = require "spec.support.heap"
local load = require "spec.support.load"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local WARM_UP, COUNT = 8000, 2000
local WARM_UPS = 10 -- at most
-- What is not a request's: the connections', a timer's array that grows, a sample of metrics.
local OTHERS = 50

-- Of a release build in this spec, with what the worker itself takes in the same time: 500.
local IDLE_BYTES = 640

describe("the heap of a warm worker", function()
  if not heap.is_countable() then return end
  local g, h, n, pid

  setup(function()
    h = heap.new()
    n = load.nginx(ports.free())
    g = gateway.start { workers = 1, env = h.env, log_level = "warn", origin = n.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local origin = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy("origin", {
        weir.deadline "2s",
        weir.retry { max = 2, backoff = "50ms..1s" },
        weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, open = "5s" },
        weir.bulkhead { max = 64, queue = 32, wait = "50ms" },
        weir.timeout "800ms",
      })
      weir.route("/bare", function(req) return origin:forward(req) end)
      weir.route("/users/:id/policy", function(req)
        return weir.ladder {
          { "personal", function() return guarded(function() return origin:forward(req) end) end },
          { "static", function() return weir.response(503, req.params.id) end },
        }
      end)
    ]] }
    pid = g:pids()[1]
  end)

  teardown(function()
    g:stop()
    n:remove()
    h:remove()
  end)

  local function get(path) return "GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n" end

  -- How often that many requests took something.
  local function takes(count, path, arguments)
    local before = h:calls(pid)
    local command = { "/usr/bin/h2load", "--h1", "-c", "4", "-n", tostring(count) }
    for _, argument in ipairs(arguments or {}) do command[#command + 1] = argument end
    command[#command + 1] = ("http://127.0.0.1:%d%s"):format(g.port, path)
    local h2load = process.spawn(command)
    h2load:wait(120)
    local out = h2load:stdout()
    h2load:kill()
    assert.is_truthy(out:find("status codes: " .. count .. " 2xx", 1, true), out)
    return h:calls(pid) - before
  end

  for name, case in pairs {
    ["a bare forward"] = { "/bare" },
    ["a forward through ladder, deadline, retry, breaker, bulkhead and timeout"] = {
      "/users/7/policy" },
    ["a forward of a body"] = { "/bare", { "-d", "CMakeLists.txt" } },
  } do
    it("is not needed by " .. name, function()
      -- Until the collector has been round a few times, objects are new.
      local quiet = 0
      for _ = 1, WARM_UPS do
        quiet = takes(WARM_UP, unpack(case)) <= OTHERS and quiet + 1 or 0
        if quiet == 2 then break end
      end
      for _, count in ipairs { COUNT, 2 * COUNT } do
        local taken = takes(count, unpack(case))
        assert.is_true(taken <= OTHERS, ("%d requests took %d times"):format(count, taken))
      end
    end)
  end

  it("keeps little for a connection that waits", function()
    local function wait_there(count)
      local all = {}
      for i = 1, count do
        all[i] = raw.connect(g.port):send(get "/bare")
        assert.equal(200, all[i]:response().status)
      end
      return all
    end
    local function each_of(count)
      local before = heap.pss(pid)
      local all = wait_there(count)
      local each = (heap.pss(pid) - before) / count
      return each, all
    end
    -- The scripts' garbage comes and goes, and may touch a page for the first time: of three times
    -- the least. The connections stay, so that none takes another's place.
    local waiting = { wait_there(100) }
    local least = math.huge
    for i = 2, 4 do
      local each
      each, waiting[i] = each_of(400)
      least = math.min(least, each)
    end
    for _, some in ipairs(waiting) do
      for _, c in ipairs(some) do c:close() end
    end
    assert.is_true(least <= IDLE_BYTES, least .. " bytes each")
  end)
end)
