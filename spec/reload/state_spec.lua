local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local broken = weir.policy("broken", { weir.breaker {
    consecutive = 3, min_calls = $(min_calls), open = "60s", jitter = 0 } })
  weir.route("GET /broken", function() return broken(function() return nil, weir.error("connect",
    "down") end) end)
  local pool = weir.policy("pool", { weir.bulkhead { max = $(max), queue = $(queue),
    wait = "10s" } })
  weir.route("/run", { deadline = "30s" }, function(req) return pool(function()
    return up:forward(req) end) end)
  local cache = weir.cache("kept", { ttl = "1h" })
  weir.route("PUT /kept", function(req) cache:set("k", req:text()); return "ok" end)
  weir.route("GET /kept", function(req) return cache:get "k" or weir.response(404) end)
  local budgeted = weir.policy("budgeted", { weir.retry { max = 3, backoff = "1ms..1ms",
    budget = { ratio = 0, min = 3, span = "10m" } } })
  weir.route("GET /budgeted", function(req) return budgeted(function() return up:forward(req,
    { path = "/run?send:HTTP/1.1%20503%20No%0D%0AContent-Length:%200%0D%0A%0D%0A" }) end) end)
  local seen = weir.metrics.counter("spec_seen_total", "Requests")
  weir.route("GET /seen", function() seen:inc(); return "seen $(version)" end)
  $(more)
]]

describe("state that lives through reloads", function()
  local g, o
  local version = 0

  local function files(changes)
    version = version + 1
    local all = { SCRIPT, origin = o.port, min_calls = 20, max = 4, queue = 4, version = version,
      more = "" }
    for key, value in pairs(changes or {}) do all[key] = value end
    return all
  end

  setup(function()
    o = origin.start()
    local options = files()
    options.workers = 2
    g = gateway.start(options)
    g:expect "breaker.transition"
    g:expect "reload"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function reload(changes)
    local verdict = g:reload(files(changes))
    assert.equal(200, verdict.status, verdict.message)
  end

  it("a breaker stays open for the same remaining time when other thresholds change", function()
    for _ = 1, 3 do g:get "/broken" end
    local before = g:breaker "broken"
    assert.equal("open", before.state)
    reload { min_calls = 50 }
    reload { min_calls = 10 }
    local after = g:breaker "broken"
    assert.equal("open", after.state)
    local passed = after.since_s - before.since_s
    assert.is_true(math.abs(before.retry_after_s - after.retry_after_s - passed) < 0.01)
    assert.equal("refused", require "cjson".decode(g:get "/broken".body).kind)
  end)

  it("a bulkhead keeps who is in it, and admits none when it shrank below them", function()
    local c = {}
    for i = 1, 4 do c[i] = g:begin("GET", "/run?hang") end
    wait.for_("four in flight", function() return g:bulkhead "pool".in_use == 4 end)
    reload { max = 2, queue = 1 }
    assert.equal(4, g:bulkhead "pool".in_use)
    assert.equal(2, g:bulkhead "pool".max)
    for i = 1, 2 do c[i]:close() end
    wait.for_("two in flight", function() return g:bulkhead "pool".in_use == 2 end)
    local queued = g:begin("GET", "/run?hang")
    wait.for_("one in the queue", function() return g:bulkhead "pool".queued == 1 end)
    reload { max = 3 }
    wait.for_("it to be let in by the larger limit", function()
      return g:bulkhead "pool".in_use == 3
    end)
    queued:close()
    for i = 3, 4 do c[i]:close() end
    g:wait_idle()
  end)

  it("a retry budget stays spent", function()
    for _ = 1, 3 do g:get "/budgeted" end
    assert.equal(3, (g:metric("weir_retry_attempts_total", 'name="budgeted"', 'reason="retry"')))
    reload()
    for _ = 1, 3 do g:get "/budgeted" end
    assert.equal(3, (g:metric("weir_retry_attempts_total", 'name="budgeted"', 'reason="retry"')))
  end)

  it("a cache keeps what is in it", function()
    g:request("PUT", "/kept", nil, "value")
    reload()
    assert.equal("value", g:get "/kept".body)
  end)

  it("counters go on, and a failed reload counts nothing twice", function()
    for _ = 1, 5 do g:get "/seen" end
    assert.equal(5, (g:metric "spec_seen_total"))
    reload()
    for _ = 1, 5 do g:get "/seen" end
    assert.equal(422, g:reload(files { more = "error 'no'" }).status)
    for _ = 1, 5 do g:get "/seen" end
    assert.equal(15, (g:metric "spec_seen_total"))
  end)

  it("state whose name is gone comes back with it", function()
    local before = g:breaker "broken".state
    assert.equal("open", before)
    assert.equal(200, g:reload { [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /seen", function() return "other" end)
    ]] }.status)
    assert.equal("other", g:get "/seen".body)
    reload()
    assert.equal("open", g:breaker "broken".state)
    assert.equal("value", g:get "/kept".body)
  end)

  it("a request sees one generation from its first line to its last", function()
    local c = {}
    local path = "/pinned"
    local more = [[
      local helper = require "helper"
      weir.route("GET /pinned", { deadline = "30s" }, function()
        local before = helper.version .. "/$(version)"
        repeat weir.sleep "10ms" until cache:get "k" == "go on"
        return before .. " " .. helper.version .. "/$(version)"
      end)
    ]]
    for i = 1, 4 do
      local all = files { more = more }
      all["helper.lua"] = "return { version = " .. version .. " }"
      assert.equal(200, g:reload(all).status)
      c[i] = g:begin("GET", path, { Connection = "close" })
      wait.for_("the request to be active", function()
        return g:metric("http_server_active_requests") == i end)
    end
    assert.equal(200, g:request("PUT", "/kept", nil, "go on").status)
    for i = 1, 4 do
      local a, b, x, y = c[i]:response().body:match "(%d+)/(%d+) (%d+)/(%d+)"
      assert.equal(a, b)
      assert.equal(a, x)
      assert.equal(a, y)
    end
  end)
end)
