--- Upgrades at full load, one after the other: no connection refused or reset, no request lost, no
--- state changed.
local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local ports = require "spec.support.ports"
local tls = require "spec.support.tls_client"
local certificates = require "spec.support.certificates"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.listen("127.0.0.1:$(secure)", { tls = {
    certificates = { { cert = "$(cert)", key = "$(key)" } } } })
  local up = weir.upstream("nginx", { endpoints = { "http://127.0.0.1:$(upstream)" } })
  local guarded = weir.policy("guarded", {
    weir.deadline "5s",
    weir.retry { max = 2, backoff = "5ms..20ms" },
    weir.breaker { failure_rate = 0.5, window = "60s", min_calls = 20 },
    weir.bulkhead { max = 256, queue = 200, wait = "5s" },
    weir.timeout "4s",
  })
  weir.route("GET /", function(req) return guarded(function() return up:forward(req) end) end)
  local off = weir.policy("stays open", { weir.breaker { consecutive = 1, open = "1h",
    open_max = "2h", jitter = 0 } })
  weir.route("GET /off", function(req) return off(function() return nil, weir.error("connect",
    "never") end) end)
]]

describe("upgrades under load", function()
  local COUNT = load.is_long and 100 or 8
  local g, n, folder, ca

  setup(function()
    local port = ports.free()
    n = load.nginx(port)
    folder = certificates.new()
    ca = folder:authority "root"
    local served = folder:make("served", { san = "DNS:a.example", by = ca })
    g = gateway.start { workers = 2, log_level = "warn", upstream = port, secure = ports.free(),
      cert = served.cert, key = served.key, drain = "10s", SCRIPT }
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    n:remove()
    folder:remove()
  end)

  it("refuse, reset and fail nothing, and change no state", function()
    assert.equal(502, g:get "/off".status)
    local opened = g:breaker "stays open"
    assert.equal("open", opened.state)
    local total = { kept = { requests = 0, socket_errors = 0, bad = 0, output = "" },
      fresh = { requests = 0, socket_errors = 0, bad = 0, output = "" } }
    local running = {}
    -- Load for as long as the upgrades take: wrk is started anew when it ends.
    local function turn(is_last)
      for name, sum in pairs(total) do
        local w = running[name]
        if w and (is_last or w:is_over()) then
          local r = w:result()
          running[name] = nil
          for _, key in ipairs { "requests", "socket_errors", "bad" } do
            sum[key] = sum[key] + r[key]
          end
          sum.output = sum.output .. r.output
        end
        if not running[name] and not is_last then
          running[name] = load.wrk(g.port, { seconds = 5, threads = 1,
            connections = name == "kept" and 64 or 8,
            script = name == "fresh" and "wrk.headers['Connection'] = 'close'\n" or nil })
        end
      end
    end
    local done = folder.path .. "/done"
    local secure = tls.start { ["do"] = "load", port = g.vars.secure, sni = "a.example",
      ca = ca.cert, path = "/", ["until"] = done, may_close = true }
    secure:line "running"
    local pids, slowest, calls = g:pids(), 0, 0
    for i = 1, COUNT do
      turn()
      local verdict = g:upgrade()
      assert.same({ 200, "arena", i + 1 }, { verdict.status, verdict.state, verdict.generation },
        verdict.message)
      slowest = math.max(slowest, verdict.took_ms)
      local still = g:breaker "stays open"
      assert.equal("open", still.state)
      local less = opened.retry_after_s - still.retry_after_s
      assert.is_true(math.abs(less - (still.since_s - opened.since_s)) < 0.01)
      assert.equal("closed", g:breaker "guarded".state)
      local now = g:metric("weir_breaker_calls_total", 'name="guarded"', 'kind="successful"')
      assert.is_true(now >= calls, "the counter fell")
      calls = now
      g:wait_upgraded()
      for slot, pid in ipairs(g:pids()) do assert.are_not.equal(pids[slot], pid) end
      pids = g:pids()
    end
    turn(true)
    assert(io.open(done, "w")):close()
    local r = tls.answer(secure)
    load.report("upgrades", ("%d upgrades, %d requests on kept connections and %d on fresh ones, "
      .. "%d and %d socket errors, %d and %d bad; slowest %.0f ms; TLS %d kept, %d fresh")
      :format(COUNT, total.kept.requests, total.fresh.requests, total.kept.socket_errors,
        total.fresh.socket_errors, total.kept.bad, total.fresh.bad, slowest, r.kept, r.fresh))
    for _, sum in pairs(total) do
      assert.equal(0, sum.socket_errors, sum.output)
      assert.equal(0, sum.bad, sum.output)
      assert.is_true(sum.requests > COUNT * 10)
    end
    assert.same({}, r.failures)
    assert.is_true(g.process:descriptors() < 100, "descriptors are left open")
    g:wait_idle()
  end)

  it("are as many as the log says, and each process is gone", function()
    local pipe = io.popen("ps -o pid= --ppid " .. g.process.pid .. " | wc -l")
    local children = tonumber(pipe:read "*a")
    pipe:close()
    assert.equal(2, children)
    assert.equal(COUNT, g:status().upgrades.done)
  end)
end)
