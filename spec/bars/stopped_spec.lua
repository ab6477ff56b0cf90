local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local wait = require "spec.support.wait"

-- A limiter with a thousand waiters is under its lock much of the time: some of the workers are
-- stopped while they hold it. Then the others wait for the lock, and so does the master.
describe("workers that are stopped for ever under load", function()
  local STOPS = load.is_long and 200 or 12
  local g, w

  setup(function()
    g = gateway.start { workers = 3, log_level = "warn", heartbeat = "400ms", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local limited = weir.policy("limited", { weir.limiter { rate = "200/s", wait = "8s",
        algorithm = "sliding_window" } })
      weir.route("GET /", function() return limited(function() return "ok\n" end) end)
    ]] }
    g:expect "worker.exit"
    g:expect "worker.stuck"
    g:expect "policy.strike" -- of one that was stopped while a script ran
  end)

  teardown(function()
    if w then w.process:kill() end
    g:kill()
  end)

  local function is_gone(pid)
    local file = io.open("/proc/" .. pid .. "/stat")
    local state = file and (file:read "*a" or ""):match "%) (%a)"
    if file then file:close() end
    return not state or state == "Z"
  end

  it("are replaced, with the lock that they held or without", function()
    local ended, replaced = {}, {} -- ms after the stop
    for i = 1, STOPS do
      wait.for_("calls to wait", function()
        if not w or w:is_over() then w = load.wrk(g.port, { seconds = 30, connections = 1200 }) end
        return g:limiter "limited".waiting > 500
      end)
      local pids = g:pids()
      local victim = pids[i % #pids + 1]
      local from = wait.now()
      assert.equal(0, os.execute("kill -STOP " .. victim))
      wait.for_("the stopped worker to end", function() return is_gone(victim) end, 40)
      ended[i] = (wait.now() - from) * 1000
      g:workers_live()
      replaced[i] = (wait.now() - from) * 1000
    end
    w.process:kill()
    wait.for_("nobody to wait", function() return g:limiter "limited".waiting == 0 end, 20)
    table.sort(ended)
    table.sort(replaced)
    local half = math.ceil(STOPS / 2)
    load.report("stopped", ("%d stops: ended after %.0f ms, at most %.0f, all live again after "
      .. "%.0f, at most %.0f; repairs %d"):format(STOPS, ended[half], ended[STOPS], replaced[half],
        replaced[STOPS], (g:metric "weir_repairs_total")))
    g:stop()
  end)
end)
