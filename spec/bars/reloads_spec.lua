local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  -- version %d
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("nginx", { endpoints = { "http://127.0.0.1:$(upstream)" } })
  local guarded = weir.policy("guarded", {
    weir.deadline "5s",
    weir.retry { max = 2, backoff = "5ms..20ms" },
    weir.breaker { failure_rate = 0.5, window = "60s", min_calls = %d },
    weir.bulkhead { max = %d, queue = 200, wait = "5s" },
    weir.timeout "4s",
  })
  weir.route("GET /", function(req) return guarded(function() return up:forward(req) end) end)
  local off = weir.policy("stays open", { weir.breaker { consecutive = 1, open = "1h",
    open_max = "2h", jitter = 0, min_calls = %d } })
  weir.route("GET /off", function(req) return off(function() return nil, weir.error("connect",
    "never") end) end)
  weir.every("10ms", function() end)
  %s
]]

local PAST = 4 -- bundles that could come back: a descriptor each in the master

local BROKEN = { "local x = = 1", "error 'no'", "weir.route('GET /', function() end)",
  "require 'nowhere'" }

describe("reloads under load, one in three of them broken", function()
  local COUNT = load.is_long and 1000 or 60
  local g, n

  setup(function()
    local port = ports.free()
    n = load.nginx(port)
    g = gateway.start { workers = 4, log_level = "warn", upstream = port, SCRIPT:format(0, 20, 64,
      20, "") }
    g:expect "breaker.transition"
    g:expect "reload"
  end)

  teardown(function()
    g:stop()
    n:remove()
  end)

  it("fail no request, reset no state, and cost no memory", function()
    assert.equal(502, g:get "/off".status)
    local opened = g:breaker "stays open"
    assert.equal("open", opened.state)
    -- Load for as long as the reloads take: wrk is started anew when it ends.
    local total = { requests = 0, socket_errors = 0, bad = 0, output = "", p99_ms = 0 }
    local w
    local function turn(is_last)
      if w and (is_last or w:is_over()) then
        local r = w:result()
        w = nil
        total.requests = total.requests + r.requests
        total.socket_errors = total.socket_errors + r.socket_errors
        total.bad = total.bad + r.bad
        total.output = total.output .. r.output
        total.p99_ms = math.max(total.p99_ms, r.p99_ms)
      end
      if not w and not is_last then w = load.wrk(g.port, { seconds = load.is_long and 20 or 5,
        connections = 64 }) end
    end
    local warm = load.is_long and 50 or 20
    local first, calls, took = nil, 0, 0
    local pids = g:pids()
    pids[#pids + 1] = g.process.pid
    local idle = select(2, load.footprint(pids))
    for i = 1, COUNT do
      turn()
      local broken = i % 3 == 0
      local verdict = g:reload { SCRIPT:format(i, 20 + i % 7, 64 + i % 5, 20 + i % 7, broken
        and BROKEN[i % #BROKEN + 1] or "") }
      assert.equal(broken and 422 or 200, verdict.status, verdict.message)
      took = math.max(took, verdict.took_ms)
      local now = g:metric("weir_breaker_calls_total", 'name="guarded"', 'kind="successful"')
      assert.is_true(now >= calls, "the counter fell")
      calls = now
      if i == warm then first = { load.footprint(pids) } end
    end
    local last = { load.footprint(pids) }
    turn(true)
    load.report("reloads", ("%d reloads, %d requests, %d socket errors, %d bad, p99 %.1f ms, "
      .. "slowest %.0f ms; RssAnon %d -> %d kB, fds %d -> %d")
      :format(COUNT, total.requests, total.socket_errors, total.bad, total.p99_ms, took, first[1],
        last[1], first[2], last[2]))
    assert.equal(0, total.socket_errors, total.output)
    assert.equal(0, total.bad, total.output)
    local still = g:breaker "stays open"
    assert.equal("open", still.state)
    local less = opened.retry_after_s - still.retry_after_s
    assert.is_true(math.abs(less - (still.since_s - opened.since_s)) < 0.01)
    -- The sanitizer keeps freed memory in quarantine: what it holds says nothing about us.
    if process.preset() ~= "asan" then
      assert.is_true(last[1] < first[1] * 1.3 + 4096, first[1] .. " -> " .. last[1] .. " kB")
    end
    assert.equal("closed", g:breaker "guarded".state)
    g:wait_idle()
    wait.for_("descriptors to come back", function() -- also those of connections
      local now = select(2, load.footprint(pids))
      return now <= idle + PAST, now .. " of " .. idle
    end, 60)
  end)
end)
