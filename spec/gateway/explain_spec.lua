--- How a request was decided: kept when it is over, told by the admin listener, `weir explain` and
--- X-Weir-Explain.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen("127.0.0.1:$(port)", { trusted_proxies = { $(trusted) } })
  local dead = weir.upstream("dead", { endpoints = { "http://127.0.0.1:$(dead)" } })
  local alive = weir.upstream("alive", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local hedged = weir.upstream("hedged", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local dark = weir.flag("dark", { percent = 0 })
  local kept = weir.cache("kept")
  local guarded = weir.policy("guarded", {
    weir.retry { max = 1, backoff = "1ms", budget = false },
    weir.breaker { consecutive = 3, open = "1h", open_max = "1h" },
  })
  local narrow = weir.policy("narrow", { weir.bulkhead { max = 1, queue = 1, wait = "1h" } })
  local twice = weir.policy("twice", { weir.hedge { delay = "1ms", budget = false } })
  local function to(upstream)
    return function(req)
      return upstream:forward(req, { path = req.target:match "%?(.*)" or "/" })
    end
  end
  local to_dead, to_alive = to(dead), to(alive)
  weir.route("GET /dead", function(req) return guarded(function() return to_dead(req) end) end)
  weir.route("GET /ladder/:id", function(req)
    return weir.ladder {
      { "personal", function() return to_dead(req) end },
      { "cached", function() return kept:stale(req.params.id) end },
      { "popular", function() return dark:on() and "dark" or "popular" end },
    }
  end)
  weir.route("GET /narrow", function(req) return narrow(function() return to_alive(req) end) end)
  weir.route("GET /twice", function(req)
    local calls = 0
    return twice(function()
      calls = calls + 1
      return hedged:forward(req, { path = calls == 1 and "/plan/hangs" or "/plan/answers" })
    end)
  end)
  weir.route("GET /many", function()
    for _ = 1, 300 do dark:on() end
    return "many"
  end)
  weir.route("GET /plain", function() return "plain" end)
  weir.route("GET /raises", function() error("no") end)
]]

local OK = origin.answer("200 OK", "fine")

describe("explain", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, dead = ports.free(), trusted = "", SCRIPT }
    for _, event in ipairs { "breaker.transition", "script.error", "policy.warning" } do
      g:expect(event)
    end
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local function show(id)
    return wait.for_("the request " .. id, function()
      local r = g:ask("GET", "/requests/show?id=" .. id)
      return r.status == 200 and json.decode(r.body)
    end)
  end

  -- "kind or what, name: result" of each decision.
  local function steps(request)
    local out = {}
    for i, link in ipairs(request.chain) do
      out[i] = ("%s %s: %s"):format(link.kind or link.what, link.name or "", link.result)
    end
    return out
  end

  local function weir(...)
    local child = process.spawn { process.program "weir", "explain", "--admin", g.admin, ... }
    return child:wait(), child:stdout(), child:stderr()
  end

  it("tells every layer, attempt and retry of a request that failed, and why it did", function()
    local r = g:get("/dead", { ["X-Request-ID"] = "first" })
    assert.equal(502, r.status)
    local request = show "first"
    assert.same({ "breaker guarded: admitted", "attempt dead: connect", "retry guarded: retry",
      "breaker guarded: admitted", "attempt dead: connect",
      "retry guarded: attempts_exhausted" }, steps(request))
    assert.equal("/dead", request.route)
    assert.equal(502, request.status)
    assert.equal("connect", request.error)
    assert.matches("refused", request.message)
    assert.equal("guarded", request.chain[1].policy)
    assert.equal(1, request.chain[2].number)
    assert.matches("^127.0.0.1:%d+$", request.chain[2].endpoint)
    assert.matches("refused", request.chain[2].message)
    assert.is_number(request.chain[3].delay_ms)
    assert.equal(2, request.chain[5].number)
    g:get("/dead")
    assert.equal(503, g:get("/dead", { ["X-Request-ID"] = "refused" }).status)
    request = show "refused"
    assert.equal("breaker_open", request.why)
    assert.equal("breaker guarded: breaker_open", steps(request)[1])
    assert.matches("breaker 'guarded' refused", request.chain[1].message)
  end)

  it("tells what a ladder, its cache and a flag said", function()
    assert.equal(200, g:get("/ladder/7", { ["X-Request-ID"] = "ladder" }).status)
    local request = show "ladder"
    assert.same({ "attempt dead: connect", "cache kept: miss", "flag dark: off",
      "rung popular: answered" }, steps(request))
    assert.equal(3, request.chain[4].number)
    assert.equal("ok_fallback", request.why)
  end)

  it("tells how long a call waited, and how long an attempt took", function()
    local steps_of = { "until:go", OK }
    local first = g:begin("GET", "/narrow?" .. origin.target(steps_of))
    wait.for_("the first to be inside", function() return g:bulkhead("narrow").in_use == 1 end)
    local second = g:begin("GET", "/narrow?" .. origin.target { OK },
      { ["X-Request-ID"] = "waited" })
    wait.for_("the second to wait", function() return g:bulkhead("narrow").queued == 1 end)
    o:release "go"
    assert.equal(200, first:response().status)
    assert.equal(200, second:response().status)
    local request = show "waited"
    assert.same({ "bulkhead narrow: admitted", "attempt alive: answered" }, steps(request))
    assert.is_true(request.chain[1].took_ms > 0)
    assert.equal(200, request.chain[2].status)
  end)

  it("tells that a hedge was sent, and who won", function()
    o:plan("hangs", { { "hang" } })
    o:plan("answers", { OK })
    local r = g:get("/twice", { ["X-Request-ID"] = "hedged" })
    assert.equal(200, r.status)
    local request = show "hedged"
    assert.same({ "attempt hedged: cancelled", "hedge twice: sent_slow",
      "attempt hedged: answered", "hedge twice: hedge" }, steps(request))
  end)

  it("keeps what fits of a chain, and counts the rest", function()
    assert.equal(200, g:get("/many", { ["X-Request-ID"] = "many" }).status)
    local request = show "many"
    assert.equal(300, #request.chain + request.left_out)
    assert.is_true(#request.chain >= 200)
  end)

  it("lists the newest first, and keeps those that failed when others push in", function()
    g:get("/raises", { ["X-Request-ID"] = "raised" })
    local client = g:connect()
    for i = 1, 7000 do
      client:send(gateway.head("GET", "/plain", { ["X-Request-ID"] = "plain-" .. i }))
      assert.equal(200, client:response().status)
    end
    client:close()
    show "plain-7000"
    assert.equal(404, g:ask("GET", "/requests/show?id=plain-1").status)
    local request = show "raised"
    assert.equal(500, request.status)
    assert.equal("policy_error", request.why)
    local list = json.decode(g:ask("GET", "/requests?limit=2").body)
    assert.equal(2, #list)
    assert.equal("plain-7000", list[1].request_id)
    assert.equal("plain-6999", list[2].request_id)
    list = json.decode(g:ask("GET", "/requests?failed=1").body)
    assert.equal("raised", list[1].request_id)
    assert.equal(400, g:ask("GET", "/requests?limit=1001").status)
    assert.equal(400, g:ask("GET", "/requests/show").status)
  end)

  it("is told by the command line", function()
    local code, out = weir "first"
    assert.equal(0, code)
    assert.matches("^GET /dead: 502 connect_fail, %d+%.%d ms\n", out)
    assert.matches("attempt 2 +dead 127%.0%.0%.1:%d+: connect", out)
    assert.matches("retry +guarded: retry in [%d.]+ ms", out)
    code, out = weir "--failed"
    assert.equal(0, code)
    assert.matches("raised +GET +/raises", out)
    local _, err
    code, _, err = weir "nobody"
    assert.equal(1, code)
    assert.matches("no such request is kept", err)
    code, out = weir("--json", "first")
    assert.equal(0, code)
    assert.equal("first", json.decode(out).request_id)
  end)

  it("shows what a request would meet, without sending it", function()
    local seen = o:counts().methods.GET
    local code, out = weir("--dry", "GET /ladder/a%62c?x=1")
    assert.equal(0, code)
    assert.matches(":id is 'abc'", out)
    assert.matches("route GET /ladder/:id\n", out)
    code, out = weir("--dry", "GET /dead")
    assert.equal(0, code)
    assert.matches("policy 'guarded'\n  retry +[^\n]*max 1", out)
    assert.matches("\n  breaker +[^\n]*consecutive 3", out)
    assert.matches("upstream 'dead'\n", out)
    code, out = weir("--dry", "POST /dead")
    assert.equal(1, code)
    assert.matches("405, there are GET, HEAD", out)
    code, out = weir("--dry", "GET /nowhere")
    assert.equal(1, code)
    assert.matches("404", out)
    assert.equal(2, (weir("--dry", "pay")))
    assert.equal(seen, o:counts().methods.GET)
  end)

  it("shows beside it what each primitive is doing now", function()
    local own = gateway.start { workers = 1, origin = o.port, dead = ports.free(), [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("dead", { endpoints = { "http://127.0.0.1:$(dead)" } })
      local guarded = weir.policy("pay", {
        weir.shedder { limit = 8 }, weir.retry(1), weir.hedge { delay = "1s" }, weir.throttle {},
        weir.breaker { consecutive = 1, open = "1h", open_max = "1h" },
        weir.limiter { rate = "3/h", burst = 3, name = "calls" },
        weir.bulkhead { max = 20 } })
      weir.route("GET /pay", function(req)
        return guarded(function() return up:forward(req) end)
      end)
    ]] }
    own:expect "breaker.transition"
    own:expect "admin.action"
    repeat own:get "/pay" until own:breaker("pay").state == "open"
    local function dry(...)
      local child = process.spawn { process.program "weir", "explain", "--dry", "GET /pay",
        "--admin", own.admin, ... }
      assert.equal(0, child:wait(), child:stderr())
      local out = child:stdout()
      child:kill()
      return out
    end
    local text = dry()
    for _, line in ipairs {
      "shedder [^\n]*\n +now: 0 of 8 in use %(fixed%), 0 queued",
      "retry [^\n]*\n +now: budget for %d+%% of its extra attempts left, %d denied",
      "hedge [^\n]*\n +now: hedges after 1000 ms, extra load %d+%.%d%%",
      "throttle [^\n]*\n +now: refuses %d+%.%d%%",
      "breaker [^\n]*\n +now: open since %d+s, probes in %w+ %w+\n",
      "limiter [^\n]*\n +now: %d of 3 left, 0 waiting",
      "bulkhead [^\n]*\n +now: 0 of 20 in use, 0 of 32 queued",
      "upstream 'dead'\n[^\n]*\n +now: 1 of 1 endpoints usable" } do
      assert.matches(line, text)
    end
    assert.equal(200, own:ask("POST", "/upstreams/drain?name=dead&value="
      .. own:status().upstreams[1].endpoints[1].url).status)
    assert.matches("now: 1 of 1 endpoints usable, 1 drained", dry())
    local found = json.decode(dry "--json")
    assert.equal("GET /pay", found.route)
    local states = {}
    for _, layer in ipairs(found.policies[1].layers) do states[layer.kind] = layer.now end
    assert.equal("open", states.breaker.state)
    assert.equal("calls", states.limiter.name)
    assert.equal("dead", found.upstreams[1].now.name)
    own:stop()
  end)

  it("keeps what has failed in spite of a siege of refusals", function()
    local own = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local guarded = weir.policy("calls", { weir.limiter { rate = "1/h", burst = 1 } })
      weir.route("GET /limited", function() return guarded(function() return "fine" end) end)
      weir.route("GET /fails", function() return nil, weir.error("reset", "no luck") end)
    ]] }
    own:get "/fails"
    local from = wait.now()
    for i = 1, 61 do assert.equal(i == 1 and 200 or 429, own:get("/limited").status) end
    own:get "/fails"
    local function count(path)
      local of = {}
      for _, r in ipairs(json.decode(own:ask("GET", path).body)) do
        of[r.path] = (of[r.path] or 0) + 1
      end
      return of
    end
    local kept = count "/requests?limit=500&failed=1"
    assert.equal(2, kept["/fails"])
    assert.is_true(kept["/limited"] >= 1)
    assert.is_true(kept["/limited"] <= 1 + (wait.now() - from) / 5, kept["/limited"])
    assert.equal(61, count("/requests?limit=500")["/limited"]) -- the others are there
    own:stop()
  end)

  it("outlives the worker that served the request", function()
    g:expect "worker.exit"
    local before = g:pids()[1]
    assert.equal(0, os.execute("kill -KILL " .. before))
    wait.for_("another worker", function()
      local pid = g:status().workers[1].pid
      return pid ~= 0 and pid ~= before
    end)
    assert.equal(502, show("first").status)
  end)

  it("tells strangers nothing", function()
    local r = g:get("/plain", { ["X-Weir-Explain"] = "1" })
    assert.is_nil(r.headers["x-weir-explain"])
  end)
end)

describe("X-Weir-Explain", function()
  local inner, outer, o

  setup(function()
    o = origin.start()
    inner = gateway.start { workers = 1, origin = o.port, dead = ports.free(),
      trusted = '"127.0.0.1"', SCRIPT }
    outer = gateway.start { workers = 1, inner = inner.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local inner = weir.upstream("inner", { endpoints = { "http://127.0.0.1:$(inner)" } })
      weir.route("/*path", function(req) return inner:forward(req) end)
    ]] }
    inner:expect "breaker.transition"
    inner:expect "policy.warning"
  end)
  teardown(function()
    outer:stop()
    inner:stop()
    o:kill()
  end)

  it("is answered to trusted clients, also with errors", function()
    local asks = { ["X-Weir-Explain"] = "1" }
    local r = inner:get("/dead", asks)
    assert.equal(502, r.status)
    assert.matches("^breaker guarded: admitted, attempt 1 dead 127[%d.]+:%d+: connect",
      r.headers["x-weir-explain"])
    assert.matches("rung 3 popular: answered$",
      inner:get("/ladder/7", asks).headers["x-weir-explain"])
    assert.equal("nothing was asked", inner:get("/plain", asks).headers["x-weir-explain"])
    assert.is_nil(inner:get("/plain").headers["x-weir-explain"])
  end)

  it("does not pass through a weir for clients that it does not trust", function()
    local r = outer:get("/plain", { ["X-Weir-Explain"] = "1" })
    assert.equal(200, r.status)
    assert.is_nil(r.headers["x-weir-explain"])
  end)
end)
