local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local ports = require "spec.support.ports"
local wait = require "spec.support.wait"

describe("workers that are killed under load", function()
  local SECONDS = load.is_long and 60 or 8
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
    g:expect "worker.exit"
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    n:remove()
  end)

  it("cost only what was in flight on them: none is refused, no permit is lost", function()
    local w = load.wrk(g.port, { seconds = SECONDS, connections = 64 })
    local kills = 0
    while not w:is_over() do
      wait.pause(2000)
      if w:is_over() then break end
      local pids = g:pids()
      local victim = pids[kills % #pids + 1]
      if victim > 0 then
        os.execute("kill -9 " .. victim)
        kills = kills + 1
      end
    end
    local r = w:result()
    load.report("kills", ("%d kills in %d s, %d requests, connect %d read %d write %d "
      .. "timeout %d, bad %d, settled %d, repairs %d")
      :format(kills, SECONDS, r.requests, r.connect, r.read, r.write, r.timeout, r.bad,
        (g:metric "weir_tickets_settled_total"), (g:metric "weir_repairs_total")))
    assert.is_true(kills >= 3)
    assert.equal(0, r.connect, r.output)
    assert.equal(0, r.timeout, r.output)
    assert.equal(0, r.bad, r.output)
    -- At most the connections that one worker had are lost with it.
    assert.is_true(r.read + r.write <= kills * 64, r.output)
    assert.equal(#g:pids(), 4)
    g:workers_live()
    g:wait_idle()
    assert.equal("closed", g:breaker "guarded".state)
  end)
end)
