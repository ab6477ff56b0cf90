local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local mayhem = require "spec.support.mayhem"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local dice = math.random

-- wrk asks for everything, as all tenants and priorities, and now and then for what raises.
local ASK = [[
  local paths = { "/all?n=", "/pages?n=", "/fetch?n=", "/nested?n=", "/healthy?n=", "/ladder?n=",
    "/both?n=", "/raise?n=", "/ok?n=", "/all?x=", "/pages?x=" }
  local priorities = { "critical", "high", "normal", "low", "background", "nonsense" }
  function request()
    return wrk.format(math.random(20) == 1 and "POST" or "GET",
      paths[math.random(#paths)] .. math.random(16), { ["X-Tenant"] = "t" .. math.random(40),
      ["X-Priority"] = priorities[math.random(6)] }, nil)
  end
]]

local PATHS = { "/all?n=", "/pages?n=", "/fetch?n=", "/nested?n=", "/both?n=", "/ladder?n=" }

-- Statuses that the bundle explains: 500 is `/raise` and what the origin answers.
local EXPLAINED = { ["200"] = true, ["404"] = true, ["405"] = true, ["429"] = true, ["500"] = true,
  ["502"] = true, ["503"] = true, ["504"] = true }

local function cpu_ticks(pids)
  local sum = 0
  for _, pid in ipairs(pids) do
    local file = assert(io.open("/proc/" .. pid .. "/stat"))
    local fields = {}
    for field in file:read("*a"):match("%) (.*)"):gmatch "%S+" do fields[#fields + 1] = field end
    file:close()
    sum = sum + fields[12] + fields[13]
  end
  return sum
end

describe("everything at once", function()
  local ROUNDS, SECONDS = load.is_long and 12 or 2, load.is_long and 15 or 5
  local g, n, o, seed

  setup(function()
    seed = tonumber(os.getenv "WEIR_SEED") or math.floor(wait.now() * 1000) % 2 ^ 31
    math.randomseed(seed)
    local port = ports.free()
    n = load.nginx(port)
    o = origin.start { seed = seed }
    g = gateway.start { workers = 3, log_level = "warn", upstream = port, origin = o.port,
      allow_chaos = true, mayhem.bundle(dice) }
    for _, event in ipairs { "worker.exit", "breaker.transition", "reload", "health.transition",
      "chaos.transition", "flag.transition", "admin.action", "script.error",
      "script.log", "endpoint.transition", "upstream.panic", "policy.strike" } do
      g:expect(event)
    end
  end)

  teardown(function()
    n:remove()
    o:kill()
    g:kill()
  end)

  -- What a round does besides the load, every few milliseconds.
  local kept, dying = {}, false
  local acts = {
    function()
      local is_broken = dice(3) == 1
      local verdict = g:reload { (is_broken and mayhem.broken or mayhem.bundle)(dice) }
      assert.equal(is_broken and 422 or 200, verdict.status, verdict.message)
    end,
    function() mayhem.act(g, dice) end,
    function()
      local pids = g:pids()
      local victim = pids[dice(#pids)]
      if dice(2) == 1 and victim > 0 then os.execute("kill -9 " .. victim .. " 2>/dev/null") end
    end,
    function()
      local pids = g:pids()
      local victim = pids[dice(#pids)]
      if dice(3) == 1 and victim > 0 then
        os.execute("kill -STOP " .. victim .. " 2>/dev/null")
        wait.pause(dice(200))
        os.execute("kill -CONT " .. victim .. " 2>/dev/null")
      end
    end,
    function()
      if dying then n:start() else n:kill() end
      dying = not dying
    end,
  }

  -- Clients that go away in the middle: before the answer, or in its body.
  local function leave()
    if #kept > 30 then table.remove(kept, dice(#kept)).sock:close() end
    local ok, c = pcall(g.begin, g, dice(8) == 1 and "POST" or "GET",
      PATHS[dice(#PATHS)] .. dice(16), { ["X-Tenant"] = "t" .. dice(40) })
    if not ok then return end
    if dice(2) == 1 then c.sock:settimeout(0.005) c.sock:receive(dice(300)) end
    kept[#kept + 1] = c
  end

  local function round(i)
    local w = load.wrk(g.port, { seconds = SECONDS, connections = 32, script = ASK })
    while not w:is_over() do
      leave()
      if dice(8) == 1 then acts[dice(#acts)]() end
      wait.pause(dice(0, 15))
    end
    for _, c in ipairs(kept) do c.sock:close() end
    kept = {}
    if dying then n:start() dying = false end
    mayhem.calm(g)
    local r = w:result()
    local text = {}
    for status, count in pairs(r.statuses) do
      text[#text + 1] = status .. "=" .. count
      assert(EXPLAINED[status], status)
    end
    table.sort(text)
    assert(r.connect == 0 and r.timeout == 0, r.output) -- none is turned away, none hangs
    load.report("mayhem", ("seed %d round %d: %d requests, read %d write %d, %s"):format(seed, i,
      r.requests, r.read, r.write, table.concat(text, " ")))
    return r
  end

  local function settled()
    wait.for_("all workers to be live", function() return pcall(g.workers_live, g) end, 20)
    wait.for_("nothing to be held", function()
      local held = mayhem.held(g:status())
      return not held, held
    end, 40)
    wait.for_("no request to be served", function()
      local active = g:metric "http_server_active_requests"
      return active == 0, active
    end, 20)
  end

  it("leaves nothing behind: no permit, no waiter, no descriptor, no memory, no work", function()
    local marks = {}
    for i = 1, ROUNDS do
      round(i)
      local verdict = g:reload { mayhem.bundle(dice) }
      assert.equal(200, verdict.status, verdict.message)
      settled()
      local pids = g:pids()
      local before = cpu_ticks(pids)
      wait.pause(1000)
      local idle = cpu_ticks(pids) - before
      local master = { load.footprint { g.process.pid } }
      marks[i] = { load.footprint(pids) }
      load.report("mayhem", ("  workers %d kB, %d fds, master %d kB, %d fds, idle %d ticks, "
        .. "settled %d, repairs %d"):format(marks[i][1], marks[i][2], master[1], master[2], idle,
        (g:metric "weir_tickets_settled_total"), (g:metric "weir_repairs_total")))
      assert.is_true(idle < 50, "busy when idle: " .. idle .. " ticks of 10 ms in a second")
      assert.is_true(master[2] < 40 and marks[i][2] < 200, "descriptors")
    end
    -- The sanitizer keeps freed memory in quarantine: what it holds says nothing about us.
    if process.preset() ~= "asan" then
      local first, last = marks[1][1], marks[ROUNDS][1]
      assert.is_true(last < first * 1.5 + 8192, first .. " -> " .. last .. " kB")
    end
    for _, line in ipairs(g:log "worker.exit") do assert.equal("Killed", line.signal) end
    for _, line in ipairs(g:log "script.error") do
      assert.is_truthy(line.route == "GET /raise" or line.route == "/raise", line.message)
    end
    for _, line in ipairs(g:log "script.log") do
      assert.is_truthy(line.message:find "^endpoint is", line.message)
    end
    g:stop()
  end)
end)
