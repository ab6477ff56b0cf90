local gateway = require "spec.support.gateway"
local hostile = require "spec.support.hostile"
local load = require "spec.support.load"

-- Hostile requests one after another, each as soon as the last is over, on the workers that serve
-- others at a steady rate. Long: what the others wait is judged, which needs a machine that has
-- nothing else to do.
describe("neighbours of hostile scripts", function()
  local NEIGHBOUR_P99_MS = 60
  local SECONDS = load.is_long and 60 or 3
  local g, w

  setup(function()
    g = gateway.start(hostile.bundle(hostile.scripts(), { workers = 2, log_level = "warn" }))
    g:expect "script.error"
  end)

  teardown(function()
    if w then w.process:kill() end
    g:stop()
  end)

  it("lose no request, and wait for no more than a burst", function()
    local scripts, asked = hostile.scripts(), 0
    w = load.steady(g.port, SECONDS)
    while not w:is_over() do
      asked = asked + 1
      g:get("/" .. scripts[asked % #scripts + 1].name)
    end
    local r = w:result()
    load.report("hostile scripts", ("%d hostile requests, neighbours' p99 %g ms of %d"):format(
      asked, r.p99_ms, r.requests))
    assert.equal(0, r.bad + r.errors, r.output)
    assert.is_true(r.requests > 100, r.output)
    if load.is_long then assert.is_true(r.p99_ms <= NEIGHBOUR_P99_MS, r.output) end
    assert.equal(0, #g:log "worker.exit")
    assert.equal(0, (g:metric "weir_worker_restarts_total"))
  end)
end)
