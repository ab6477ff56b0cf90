local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

describe("workers that are killed under load", function()
  local SECONDS = load.is_long and 300 or 8
  -- The sanitizers report all but the first.
  local SIGNALS = process.preset() == "asan" and { "KILL" } or { "KILL", "ABRT", "SEGV" }
  local g, n

  setup(function()
    local port = ports.free()
    n = load.nginx(port)
    g = gateway.start { workers = 4, log_level = "warn", upstream = port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("nginx", { endpoints = { "http://127.0.0.1:$(upstream)" } })
      local guarded = weir.policy("guarded", {
        weir.deadline "5s", weir.breaker { min_calls = 50 }, weir.bulkhead { max = 24, queue = 200,
          wait = "4s" } })
      weir.route("GET /", function(req) return guarded(function() return up:forward(req) end) end)
    ]] }
    -- One that dies inside a script is a strike; there is no generation to go back to.
    for _, event in ipairs { "worker.exit", "breaker.transition", "policy.strike",
      "policy.quarantine" } do g:expect(event) end
  end)

  teardown(function()
    g:stop()
    n:remove()
  end)

  -- Whatever was lost with a worker, what is shared stays within its bounds.
  local function check_state()
    local b = g:bulkhead "guarded"
    assert.is_true(b.in_use <= 24 and b.queued <= 200, b.in_use .. " and " .. b.queued)
    assert.equal("closed", g:breaker "guarded".state)
  end

  it("cost only what was in flight on them: none is refused, no permit is lost", function()
    local w = load.wrk(g.port, { seconds = SECONDS, connections = 64 })
    local kills = 0
    while not w:is_over() do
      wait.pause(2000)
      if w:is_over() then break end
      local pids = g:pids()
      local victim = pids[kills % #pids + 1]
      if victim > 0 then
        kills = kills + 1
        os.execute(("kill -%s %d"):format(SIGNALS[kills % #SIGNALS + 1], victim))
        check_state()
      end
    end
    local r = w:result()
    load.report("kills", ("%d kills in %d s, %d requests, connect %d read %d write %d "
      .. "timeout %d, bad %d, lost %d, settled %d, repairs %d")
      :format(kills, SECONDS, r.requests, r.connect, r.read, r.write, r.timeout, r.bad,
        (g:metric "weir_worker_lost_requests_total"), (g:metric "weir_tickets_settled_total"),
        (g:metric "weir_repairs_total")))
    assert.is_true(kills >= 3)
    assert.equal(0, r.connect, r.output)
    assert.equal(0, r.timeout, r.output)
    assert.equal(0, r.bad, r.output)
    -- At most the connections that one worker had are lost with it, and each is counted: wrk has
    -- one request on each.
    assert.is_true(r.read + r.write <= kills * 64, r.output)
    local lost = g:metric "weir_worker_lost_requests_total"
    assert.is_true(lost > 0 and lost <= r.read + r.write, lost .. " of " .. r.read + r.write)
    assert.equal(#g:pids(), 4)
    g:workers_live()
    g:wait_idle()
    assert.equal("closed", g:breaker "guarded".state)
  end)
end)
