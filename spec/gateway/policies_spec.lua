local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local wait = require "spec.support.wait"

local OK = origin.answer("200 OK", "fine")
local BAD = origin.answer("503 Service Unavailable", "bad")

describe("policies over several workers", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 3, origin = o.port, dead = ports.free(), [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local half = weir.upstream("half", { endpoints = { "http://127.0.0.1:$(dead)",
        "http://127.0.0.1:$(origin)" } })
      local dead = weir.upstream("dead", { endpoints = { "http://127.0.0.1:$(dead)" } })

      local retrying = weir.policy("retrying", { weir.retry { max = 2, backoff = "1ms..2ms",
        budget = { min = 10000 } } })
      weir.route("/retry/*rest", function(req) return retrying(function() return up:forward(req,
        { path = "/" .. req.target:sub(8) }) end) end)
      weir.route("/half", function(req) return retrying(function() return half:forward(req,
        { path = "/ok" }) end) end)
      local budgeted = weir.policy("budgeted", { weir.retry { max = 5, backoff = "1ms..1ms",
        budget = { ratio = 0, min = 4, span = "10m" } } })
      weir.route("GET /budgeted", function(req) return budgeted(function()
        return dead:forward(req) end) end)
      local late = weir.policy("late", { weir.deadline "200ms", weir.retry { max = 5,
        backoff = "1s", jitter = "none" } })
      weir.route("GET /late", function(req) return late(function()
        return dead:forward(req) end) end)

      local breaking = weir.policy("breaking", {
        weir.breaker { failure_rate = 0.5, min_calls = 6, window = "60s", open = "400ms",
          jitter = 0, probes = 2 } })
      weir.route("/breaking/*rest", function(req)
        return breaking(function()
          return up:forward(req, { path = "/" .. req.target:sub(11) }) end)
        end)

      local dropping = weir.policy("dropping", { weir.retry { max = 2, backoff = "1ms..2ms",
        budget = { min = 10000 } }, weir.breaker {} })
      weir.route("/dropping/*rest", function(req)
        return dropping(function()
          return up:forward(req, { path = "/" .. req.target:sub(11) }) end)
        end)

      local pool = weir.policy("pool", { weir.bulkhead { max = 2, queue = 2, wait = "150ms" } })
      weir.route("/pool/*rest", { deadline = "20s" }, function(req)
        return pool(function()
          return up:forward(req, { path = "/" .. req.target:sub(7) }) end)
        end)

      local cache = weir.cache("answers", { ttl = "300ms", stale = "1h" })
      local laddered = weir.policy("laddered", { weir.timeout "300ms" })
      weir.route("GET /ladder/*rest", function(req)
        return weir.ladder {
          { "fresh", function()
            local r, err = laddered(function() return up:forward(req, { path = "/"
              .. req.target:sub(9) }) end)
            if r and r.status == 200 then return cache:set("ladder", r) end
            return r, err
          end },
          { "cached", function() return cache:stale "ladder" end },
          { "static", function() return weir.json(200, { static = true }) end },
        }
      end)
      weir.route("GET /rungs", function()
        return weir.ladder {
          { "raises", function() error "rung" end },
          { "nothing", function() end },
          { "late", function() return weir.sleep "5s" end, deadline = "20ms" },
          { "last", function() return weir.response(200, "last") end },
        }
      end)
      weir.route("GET /all-fail", function()
        return weir.ladder {
          { "first", function() return nil, weir.error("timeout", "the first") end },
          { "second", function() return nil, weir.error("connect", "the second") end },
        }
      end)
      weir.route("GET /crowded", function()
        return weir.ladder {
          { "narrow", function() weir.sleep "150ms"; return "in" end, max = 1 },
          { "wide", function() return weir.response(200, "out") end },
        }
      end)

      weir.route("PUT /cache/:key", function(req) cache:set(req.params.key, req:text(), "1h");
        return "stored" end)
      weir.route("GET /cache/:key", function(req)
        local value = cache:get(req.params.key)
        if not value then return weir.response(404, "nothing") end
        return value
      end)
      weir.route("DELETE /cache/:key", function(req)
        return tostring(cache:delete(req.params.key))
      end)

      weir.route("GET /race", function()
        local r, err = weir.race {
          function() return up:request { path = "/run?hang", timeout = "5s" } end,
          function() weir.sleep "20ms"; return weir.response(200, "second") end,
        }
        return r, err
      end)
      weir.route("GET /all", function()
        local r, err = weir.all {
          a = function() return up:request "/ok" end,
          b = function() weir.sleep "5ms"; return 7 end,
        }
        if not r then return nil, err end
        return weir.json(200, { a = r.a.status, b = r.b })
      end)
      weir.route("GET /all-but-one", function()
        local r, err = weir.all {
          function() return up:request { path = "/run?hang", timeout = "5s" } end,
          function() return nil, weir.error("limited", "no") end,
        }
        return r, err
      end)
      weir.route("GET /race-streams", function(req)
        return weir.race {
          function()
            local head = weir.escape "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf"
            return up:forward(req, { path = "/run?send:" .. head .. ";wait:100;send:half" })
          end,
          function() weir.sleep "5s" return "late" end,
        }
      end)

      local ticks = weir.metrics.counter("spec_ticks_total", "Runs of weir.every")
      weir.every("20ms", function() ticks:inc() end)
      weir.every({ interval = "20ms", name = "raiser" }, function() error "in every" end)
      local spawned = weir.metrics.counter("spec_spawned_total", "Runs of weir.spawn at load")
      weir.spawn(function() spawned:inc() end)
      weir.route("GET /log", function()
        weir.log.info("hello", { number = 7, text = "x", yes = true })
        return "logged"
      end)
    ]] }
    for _, event in ipairs { "breaker.transition", "script.error", "script.log" } do g:expect(event)
      end
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function target(prefix, steps) return prefix .. origin.target(steps):sub(1) end

  describe("retry", function()
    local function posts(path, method, body, headers)
      local before = o:counts().methods
      local r = g:request(method, path, headers, body)
      local after = o:counts().methods
      return (after[method] or 0) - (before[method] or 0), r
    end

    it("repeats what is idempotent", function()
      local sent, r = posts(target("/retry", { BAD }), "GET")
      assert.equal(503, r.status)
      assert.equal("bad", r.body)
      assert.equal(3, sent)
      sent = posts(target("/retry", { BAD }), "PUT", "body")
      assert.equal(3, sent)
      assert.equal(3, (posts(target("/retry", { BAD }), "DELETE")))
    end)

    it("sends a POST once when it has left", function()
      assert.equal(1, (posts(target("/retry", { BAD }), "POST", "body")))
      assert.equal(1, (posts(target("/retry", { "close" }), "POST", "body")))
      assert.equal(1, (posts(target("/retry", { "reset" }), "POST", "body")))
    end)

    it("repeats a POST with an Idempotency-Key", function()
      assert.equal(3, (posts(target("/retry", { BAD }), "POST", "body",
        { ["Idempotency-Key"] = "k" })))
    end)

    it("does not repeat what was answered well, or badly by the client's fault", function()
      assert.equal(1, (posts(target("/retry", { OK }), "GET")))
      assert.equal(1, (posts(target("/retry", { origin.answer("404 Not Found", "no") }), "GET")))
    end)

    it("does not repeat a streamed body", function()
      local sent, r = posts(target("/retry", { BAD }), "PUT", ("x"):rep(200000))
      assert.equal(1, sent)
      assert.equal(503, r.status)
    end)

    it("goes to another endpoint when one is dead, POST too", function()
      for _ = 1, 20 do assert.equal(200, g:get "/half".status) end
      for _ = 1, 20 do assert.equal(200, g:request("POST", "/half", nil, "x").status) end
    end)

    it("stops when its budget is spent, in all workers together", function()
      for _ = 1, 10 do assert.equal(502, g:get "/budgeted".status) end
      assert.equal(4, (g:metric("weir_retry_attempts_total", 'name="budgeted"', 'reason="retry"')))
    end)

    it("starts no attempt that cannot finish", function()
      assert.equal(502, g:get "/late".status)
      assert.equal(1, (g:metric("weir_retry_attempts_total", 'name="late"', 'reason="deadline"')))
    end)
  end)

  describe("breaker", function()
    local bad, good = target("/breaking", { BAD }), target("/breaking", { OK })

    it("opens by what all workers saw, refuses, half-opens with its probes only, and closes",
      function()
      for _ = 1, 6 do assert.equal(503, g:get(bad).status) end
      assert.equal("open", g:breaker "breaking".state)
      local before = o:counts().methods.GET
      for _ = 1, 20 do
        local r = g:get(good)
        assert.equal(503, r.status)
        assert.equal("refused", json.decode(r.body).kind)
        assert.equal("1", r.headers["retry-after"])
      end
      assert.equal(before, o:counts().methods.GET)
      wait.for_("it to be half-open", function()
        return g:breaker "breaking".state == "half_open"
      end)
      local clients = {}
      local slow = target("/breaking", { "wait:300", OK })
      for i = 1, 12 do clients[i] = g:begin("GET", slow, { Connection = "close" }) end
      local statuses = { [200] = 0, [503] = 0 }
      for i = 1, 12 do
        local status = clients[i]:response().status
        statuses[status] = statuses[status] + 1
        clients[i]:close()
      end
      assert.same({ [200] = 2, [503] = 10 }, statuses)
      assert.equal(before + 2, o:counts().methods.GET)
      assert.equal("closed", g:breaker "breaking".state)
      assert.equal(200, g:get(good).status)
      local log = {}
      g:wait_log("breaker.transition", { name = "breaking", to = "closed" })
      for i, line in ipairs(g:log("breaker.transition", { name = "breaking" })) do
        log[i] = line.from .. ">" .. line.to end
      assert.same({ "closed>open", "open>half_open", "half_open>closed" }, log)
    end)

    it("opens again, for longer, when probes fail", function()
      for _ = 1, 8 do g:get(bad) end
      local first = g:breaker "breaking"
      assert.equal("open", first.state)
      wait.for_("it to be half-open", function()
        return g:breaker "breaking".state == "half_open"
      end)
      g:get(bad)
      g:get(bad)
      local second = g:breaker "breaking"
      assert.equal("open", second.state)
      assert.is_true(second.retry_after_s > first.retry_after_s)
      wait.for_("it to be half-open", function()
        return g:breaker "breaking".state == "half_open"
      end)
      g:get(good)
      g:get(good)
      assert.equal("closed", g:breaker "breaking".state)
      g:wait_idle()
    end)

    it("counts a status that is a failure, also when a retry drops the rest of it", function()
      local head = "send:HTTP/1.1 503 Service Unavailable\r\nContent-Length: 10\r\n\r\n"
      local client = g:begin("GET", target("/dropping", { head, "hang" }))
      assert.equal(503, client:head().status)
      client:close()
      -- The third is counted when its client has been seen to leave.
      wait.for_("three failures", function()
        return g:metric("weir_breaker_calls_total", 'name="dropping"', 'kind="failed"') == 3
      end)
    end)

    it("does not count refusals of others, nor clients' mistakes", function()
      for _ = 1, 30 do g:get(target("/breaking", { origin.answer("404 Not Found", "no") })) end
      assert.equal("closed", g:breaker "breaking".state)
    end)
  end)

  describe("bulkhead", function()
    it("bounds what is in flight in all workers together, and queues", function()
      local hold = target("/pool", { "wait:400", OK })
      local c = {}
      for i = 1, 2 do c[i] = g:begin("GET", hold, { Connection = "close" }) end
      wait.for_("two in flight", function() return g:bulkhead "pool".in_use == 2 end)
      for i = 3, 4 do c[i] = g:begin("GET", hold, { Connection = "close" }) end
      wait.for_("two in the queue", function() return g:bulkhead "pool".queued == 2 end)
      local r = g:get(hold)
      assert.equal(503, r.status)
      assert.equal("refused", json.decode(r.body).kind)
      for i = 3, 4 do assert.equal(503, c[i]:response().status) end -- waited 150 ms
      for i = 1, 2 do assert.equal(200, c[i]:response().status) end
      g:wait_idle()
    end)

    it("gives a freed slot to the queue, across workers", function()
      local c = {}
      local hold = target("/pool", { "wait:60", OK })
      for i = 1, 4 do c[i] = g:begin("GET", hold, { Connection = "close" }) end
      for i = 1, 4 do assert.equal(200, c[i]:response().status) end
      g:wait_idle()
    end)
  end)

  describe("ladder", function()
    it("serves the first rung and says nothing of it", function()
      local r = g:get(target("/ladder", { OK }))
      assert.equal("fine", r.body)
      assert.is_nil(r.headers["x-degraded"])
    end)

    it("serves what is cached, by another worker too, and says so", function()
      g:get(target("/ladder", { OK }))
      for _ = 1, 12 do
        local r = g:get(target("/ladder", { BAD }))
        assert.equal(200, r.status)
        assert.equal("fine", r.body)
        assert.equal("cached", r.headers["x-degraded"])
      end
      assert.equal("cached", g:get(target("/ladder", { "hang" })).headers["x-degraded"])
      assert.equal("cached", g:get(target("/ladder", { "close" })).headers["x-degraded"])
      assert.is_true(g:metric("weir_fallback_total", 'step="cached"') >= 14)
      assert.equal("cached", g:wait_log("access", { why = "ok_fallback" }).rung)
    end)

    it("survives rungs that raise, say nothing, or take too long", function()
      local r = g:get "/rungs"
      assert.equal("last", r.body)
      assert.equal("last", r.headers["x-degraded"])
    end)

    it("returns the first error when every rung failed", function()
      local r = g:get "/all-fail"
      assert.equal(504, r.status)
      assert.equal("the first", json.decode(r.body).detail)
    end)

    it("bounds a rung's calls in all workers together", function()
      local c, bodies = {}, { ["in"] = 0, out = 0 }
      for i = 1, 9 do c[i] = g:begin("GET", "/crowded", { Connection = "close" }) end
      for i = 1, 9 do
        local body = c[i]:response().body
        bodies[body] = bodies[body] + 1
        c[i]:close()
      end
      assert.same({ ["in"] = 1, out = 8 }, bodies)
    end)
  end)

  describe("cache", function()
    it("is one for all workers", function()
      assert.equal("stored", g:request("PUT", "/cache/k", nil, "value").body)
      for _ = 1, 12 do assert.equal("value", g:get "/cache/k".body) end
      assert.equal("true", g:request("DELETE", "/cache/k").body)
      for _ = 1, 12 do assert.equal(404, g:get "/cache/k".status) end
      assert.equal("false", g:request("DELETE", "/cache/k").body)
    end)

    it("keeps large values whole and refuses larger ones quietly", function()
      local value = ("v"):rep(200000)
      g:request("PUT", "/cache/big", nil, value)
      assert.equal(value, g:get "/cache/big".body)
      g:request("PUT", "/cache/huge", nil, ("v"):rep(2000000))
      assert.equal(404, g:get "/cache/huge".status)
    end)

    it("is bounded: a flood of keys evicts, nothing breaks", function()
      for i = 1, 300 do g:request("PUT", "/cache/flood" .. i, nil, ("f"):rep(200000)) end
      assert.equal("stored", g:request("PUT", "/cache/k", nil, "value").body)
      assert.equal("value", g:get "/cache/k".body)
    end)
  end)

  describe("tasks", function()
    it("race: the first wins and the others are cancelled", function()
      local from = wait.now()
      assert.equal("second", g:get "/race".body)
      assert.is_true(wait.now() - from < 3)
    end)

    it("race hands out a response that still flows", function()
      assert.equal("halfhalf", g:get "/race-streams".body)
    end)

    it("all: every result under its key, or the first error", function()
      assert.same({ a = 200, b = 7 }, json.decode(g:get "/all".body))
      local from = wait.now()
      assert.equal(429, g:get "/all-but-one".status)
      assert.is_true(wait.now() - from < 3)
    end)

    it("every: runs again and again in each worker, whatever it raises", function()
      wait.for_("thirty runs", function() return g:metric "spec_ticks_total" >= 30 end)
      wait.for_("it to raise often", function() return #g:log("script.error",
        { task = "raiser" }) >= 5 end)
    end)

    it("spawn at load: runs once in each worker", function()
      assert.equal(3, (g:metric "spec_spawned_total"))
    end)
  end)

  it("write log lines with the request they belong to", function()
    local r = g:get "/log"
    local line = g:wait_log("script.log", { message = "hello" })
    assert.equal(r.headers["x-request-id"], line.request_id)
    assert.equal("/log", line.route)
    assert.same({ number = 7, text = "x", yes = true }, line.fields)
  end)

  it("leave nothing behind", function() g:wait_idle() end)
end)
