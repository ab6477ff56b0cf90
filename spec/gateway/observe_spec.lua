local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

describe("what can be seen from outside", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy('odd "name" \\ here', {
        weir.retry(1), weir.breaker { min_calls = 50 }, weir.bulkhead { max = 4 } })
      weir.route("/run", function(req) return guarded(function() return up:forward(req) end) end)
      local sold = weir.metrics.counter("shop_sold_total", "Things sold")
      local depth = weir.metrics.gauge("shop_depth", "How deep it is")
      local size = weir.metrics.histogram("shop_size_bytes", "Sizes", { buckets = { 1, 10, 100 } })
      weir.route("GET /sell/*what", function(req)
        sold:inc { what = req.params.what }
        depth:set(3)
        size:observe(7)
        return "sold"
      end)
      weir.route("GET /bad-metric", function() weir.metrics.counter("no spaces", "x") end)
      weir.route("GET /flood", function(req)
        for i = 1, 3000 do sold:inc { what = "flood" .. i } end
        return "flooded"
      end)
      weir.route("GET /block", function()
        local until_at = weir.time() + 0.03
        while weir.time() < until_at do end
        return "blocked"
      end)
      weir.route("GET /ladder", function()
        return weir.ladder { { "a", function() end }, { "b", function() return weir.response(200,
          "b") end } }
      end)
    ]] }
    g:expect "script.error"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function traffic()
    g:get(origin.target { origin.answer("200 OK", "x") })
    g:get(origin.target { origin.answer("503 No", "x") })
    g:get(origin.target { "close" })
    g:request("POST", origin.target { origin.answer("200 OK", "x") }, nil, ("x"):rep(5000))
    g:get "/sell/apple"
    g:get "/sell/a%22b%5Cc%0Ad"
    g:get "/nowhere"
    g:get "/ladder"
    g:get "/bad-metric"
  end

  it("passes promtool's check with traffic, odd names and odd labels", function()
    traffic()
    local name = os.tmpname()
    local file = io.open(name, "w")
    file:write(g:metrics())
    file:close()
    local pipe = io.popen("env -u LD_PRELOAD promtool check metrics <" .. name
      .. " 2>&1; echo exit $?")
    local said = pipe:read "*a"
    pipe:close()
    os.remove(name)
    assert.equal("exit 0\n", said)
  end)

  it("counts what policies count, in all workers together", function()
    local before = g:metric("shop_sold_total", 'what="pear"')
    for _ = 1, 20 do g:get "/sell/pear" end
    assert.equal(20, g:metric("shop_sold_total", 'what="pear"') - before)
    assert.is_true(g:metric("shop_size_bytes_bucket", 'le="10"') >= 20)
  end)

  it("bounds the number of series", function()
    assert.equal("flooded", g:get "/flood".body)
    local _, count = g:metrics():gsub("\nshop_sold_total{", "")
    assert.is_true(count <= 1001, count)
    assert.is_true(g:metric("weir_series_overflow_total") > 0)
    assert.equal("sold", g:get "/sell/apple".body)
  end)

  it("counts responses by why", function()
    traffic()
    assert.is_true(g:metric("weir_responses_total", 'why="ok"') > 0)
    assert.is_true(g:metric("weir_responses_total", 'why="ok_fallback"') > 0)
    assert.is_true(g:metric("weir_responses_total", 'why="no_route"') > 0)
    assert.is_true(g:metric("weir_responses_total", 'why="policy_error"') > 0)
  end)

  it("shows a loop that comes late", function()
    for _ = 1, 30 do g:get "/block" end
    local le, count = g:metric("weir_loop_lag_seconds_bucket", 'le="0.005"'),
      g:metric "weir_loop_lag_seconds_count"
    assert.is_true(count > le, le .. " of " .. count)
  end)

  it("keeps its counters when a worker dies", function()
    g:expect "worker.exit"
    for _ = 1, 10 do g:get "/sell/plum" end
    local before = g:metric("shop_sold_total", 'what="plum"')
    local responses = g:metric "weir_responses_total"
    os.execute("kill -9 " .. g:pids()[1])
    g:wait_log "worker.exit"
    g:workers_live()
    assert.equal(before, (g:metric("shop_sold_total", 'what="plum"')))
    assert.is_true(g:metric "weir_responses_total" >= responses)
  end)

  it("has one access line for each request, with what happened to it", function()
    local id = g:get(origin.target { origin.answer("503 No", "x") }).headers["x-request-id"]
    local line = g:wait_log("access", { request_id = id })
    assert.equal(503, line.status)
    assert.equal("/run", line.route)
    assert.equal("origin", line.upstream)
    assert.equal("127.0.0.1:" .. o.port, line.endpoint)
    assert.is_true(line.attempts >= 1)
    assert.equal(1, line.generation)
  end)

  it("shows on /status what the last seconds were like, by route and by upstream", function()
    local run = origin.target { origin.answer("200 OK", "x") }
    local status = wait.for_("a window with traffic in it", function()
      g:get(run)
      g:get "/ladder"
      local now = g:status()
      local has = {}
      for _, route in ipairs(now.traffic.routes) do has[route.name] = route end
      local run_route, ladder = has["/run"], has["/ladder"]
      return run_route and ladder and run_route.per_s > 0 and ladder.per_s > 0 and now
    end)
    local seen = status.traffic
    assert.is_true(seen.window_s > 0 and seen.requests.total > 0)
    local route, upstream, ladder
    for _, r in ipairs(seen.routes) do if r.name == "/run" then route = r end end
    for _, r in ipairs(seen.routes) do if r.name == "/ladder" then ladder = r end end
    for _, u in ipairs(seen.attempts) do if u.name == "origin" then upstream = u end end
    assert.is_true(route.p50_s > 0 and route.p50_s <= route.p99_s)
    assert.is_true(route.why.ok > 0)
    assert.is_true(ladder.why.ok_fallback > 0)
    assert.is_true(upstream.total > 0)
    assert.equal('odd "name" \\ here', seen.retries[1].name)
    assert.equal('odd "name" \\ here', status.budgets[1].name)
    assert.is_true(status.now.lag_s >= 0 and status.now.active >= 0)
    assert.is_false(status.draining)
  end)

  it("answers HEAD, refuses other methods and paths of the admin listener", function()
    assert.equal(405, g:ask("POST", "/status").status)
    assert.equal(405, g:ask("GET", "/reload").status)
    assert.equal(404, g:ask("GET", "/x").status)
    assert.equal(200, g:ask("HEAD", "/metrics").status)
  end)

  it("does not answer a page's script: foreign hosts are refused", function()
    local raw = require "spec.support.raw"
    local r = raw.once(g.admin_port,
      gateway.head("POST", "/reload", { Host = "evil.example", Connection = "close" }, ""))
    assert.equal(403, r.status)
  end)

  it("takes no order that a page has a browser send blindly", function()
    local raw = require "spec.support.raw"
    local function post(path, fields)
      fields.Host, fields.Connection = "127.0.0.1", "close"
      return raw.once(g.admin_port, gateway.head("POST", path, fields, ""))
    end
    for _, page in ipairs { "https://evil.example", "null" } do
      assert.equal(403, post("/reload", { Origin = page }).status)
      assert.equal(403, post("/breakers/open?name=x", { Origin = page }).status)
    end
    assert.equal(404, post("/breakers/open?name=x", {}).status)
  end)
end)
