local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local ports = require "spec.support.ports"
local wait = require "spec.support.wait"

-- An upstream that dies and comes back under load, as seen by the clients of four workers.
describe("an upstream that is killed and restarted under load", function()
  local SECONDS = load.is_long and 60 or 10
  local PROBES = 3
  local g, n

  setup(function()
    local port = ports.free()
    n = load.nginx(port)
    g = gateway.start { workers = 4, log_level = "warn", upstream = port, probes = PROBES, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("nginx", { endpoints = { "http://127.0.0.1:$(upstream)" } })
      local guarded = weir.policy("guarded", {
        weir.deadline "2s",
        weir.retry { max = 2, backoff = "5ms..20ms" },
        weir.breaker { failure_rate = 0.5, window = "3s", min_calls = 20, open = "500ms",
          probes = $(probes) },
        weir.bulkhead { max = 64, queue = 64, wait = "500ms" },
        weir.timeout "800ms",
      })
      weir.route("GET /", function(req)
        return weir.ladder {
          { "live", function() return guarded(function() return up:forward(req) end) end },
          { "static", function() return weir.json(200, { ok = false }) end },
        }
      end)
    ]] }
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    n:remove()
  end)

  it("costs no client an error, opens the breaker, is probed by a few, and closes it again",
    function()
    local w = load.wrk(g.port, { seconds = SECONDS, connections = 64 })
    local outages = 0
    local most = 0
    while not w:is_over() do
      wait.pause(SECONDS * 100)
      if w:is_over() then break end
      n:kill()
      local is_open = wait.for_("the breaker to open", function()
        return g:breaker "guarded".state == "open" or (w:is_over() and "not any more")
      end, 20)
      if is_open ~= true then break end
      outages = outages + 1
      local until_at = wait.now() + 1.2
      while wait.now() < until_at do most = math.max(most, g:breaker "guarded".probes) end
      n:start()
      wait.for_("the breaker to close", function()
        local b = g:breaker "guarded"
        most = math.max(most, b.probes)
        return b.state == "closed" or w:is_over(), b.state
      end, 70)
    end
    local r = w:result()
    load.report("outage", ("%d requests in %d s, %d outages, %d socket errors, %d bad, "
      .. "p99 %.1f ms, at most %d probes, static %d")
      :format(r.requests, SECONDS, outages, r.socket_errors, r.bad, r.p99_ms, most,
        (g:metric("weir_fallback_total", 'step="static"'))))
    assert.equal(0, r.socket_errors, r.output)
    assert.equal(0, r.bad, r.output)
    assert.is_true(outages >= 2)
    assert.is_true(most <= PROBES)
    assert.is_true(g:metric("weir_fallback_total", 'step="static"') > 0)
    assert.is_true(g:metric("weir_fallback_total", 'step="live"') > 0)
    local opened, closed = 0, 0
    for _, line in ipairs(g:log "breaker.transition") do
      if line.to == "open" then opened = opened + 1 end
      if line.to == "closed" then closed = closed + 1 end
    end
    assert.is_true(opened >= outages and closed >= outages - 1)
    g:wait_idle()
  end)
end)
