--- The drill: six things go wrong one after another, and whoever looks, wherever he looks, is told
--- the true cause: the first event line, the metrics, the page, `weir explain`.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local OK, BAD = origin.answer("200 OK", "fine"), origin.answer("500 No", "bad")

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local function up(name, port)
    return weir.upstream(name, { endpoints = { "http://127.0.0.1:" .. port } })
  end
  local down, slow, flapping, crowded = up("down", $(down)), up("slow", $(origin)),
    up("flapping", $(origin)), up("crowded", $(origin))
  local function guarded(name, upstream, layers)
    local policy = weir.policy(name, layers)
    return function(req)
      return policy(function()
        return upstream:forward(req, { path = req.target:match "%?(.*)" or "/" })
      end)
    end
  end
  local breaker = { consecutive = 3, open = "1h", open_max = "1h" }
  weir.route("GET /down", guarded("down", down, { weir.breaker(breaker) }))
  weir.route("GET /slow", guarded("slow", slow, { weir.timeout "30ms" }))
  weir.route("GET /flapping", guarded("flapping", flapping, {
    weir.retry { max = 1, backoff = "1ms", budget = false } }))
  weir.route("GET /crowded", guarded("crowded", crowded, { weir.bulkhead { max = 1, queue = 0 } }))
  local stormy = weir.policy("stormy", {
    weir.chaos { name = "storm", expires = "1h", probability = 1, error = "reset",
      guard = false } })
  weir.route("GET /stormy", function() return stormy(function() return "calm" end) end)
]]

describe("a drill", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, down = ports.free(), allow_chaos = true,
      SCRIPT }
    for _, event in ipairs { "breaker.transition", "chaos.transition", "reload",
      "admin.action" } do
      g:expect(event)
    end
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local function explain(id)
    local out
    wait.for_("the request " .. id, function()
      local child = process.spawn { process.program "weir", "explain", id, "--admin", g.admin }
      out = child:stdout()
      return child:wait() == 0 and child:stdout()
    end)
    local child = process.spawn { process.program "weir", "explain", id, "--admin", g.admin }
    child:wait()
    out = child:stdout()
    return out
  end

  -- What the page without scripts says; the other shows the same document.
  local function page() return g:ask("GET", "/plain").body end

  local function get(path, id, steps)
    return g:get(path .. (steps and "?" .. origin.target(steps) or ""), { ["X-Request-ID"] = id })
  end

  it("an upstream that is down opens its breaker", function()
    for i = 1, 4 do get("/down", "down-" .. i) end
    local event = g:wait_log("breaker.transition", { name = "down" })
    assert.same({ "closed", "open", "consecutive" }, { event.from, event.to, event.cause })
    assert.equal(1, (g:metric("weir_breaker_state", 'name="down"', 'state="open"')))
    assert.is_true((g:metric("weir_responses_total", 'route="/down"', 'why="connect_fail"')) >= 3)
    assert.matches("down.-open", page())
    assert.matches("attempt 1 +down 127[%d.:]+: connect", explain "down-1")
    assert.matches("breaker +down: breaker_open", explain "down-4")
  end)

  it("an upstream that is slow is cut off by the attempt's limit", function()
    assert.equal(504, get("/slow", "slow", { "hang" }).status)
    local line = g:wait_log("access", { request_id = "slow" })
    assert.same({ "upstream_timeout", "slow" }, { line.why, line.upstream })
    assert.equal(1, (g:metric("weir_responses_total", 'route="/slow"', 'why="upstream_timeout"')))
    wait.for_("the page to say so", function() return page():find("upstream timeout", 1, true) end)
    assert.matches("attempt 1 +slow 127[%d.:]+: timeout after [%d.]+ ms", explain "slow")
  end)

  it("an upstream that flaps costs retries", function()
    o:plan("flap", { BAD:gsub("500", "503"), OK })
    local r = g:get("/flapping?/plan/flap", { ["X-Request-ID"] = "flap" })
    assert.equal(200, r.status)
    local line = g:wait_log("access", { request_id = "flap" })
    assert.same({ "ok_retry", 2 }, { line.why, line.attempts })
    assert.equal(1, (g:metric("weir_retry_attempts_total", 'name="flapping"', 'reason="retry"')))
    wait.for_("the page to say so", function() return page():find("ok retry", 1, true) end)
    assert.matches("attempt 1 +flapping 127[%d.:]+: 503.*retry +flapping: retry in .*"
      .. "attempt 2 +flapping 127[%d.:]+: 200", explain "flap")
  end)

  it("overload is refused by the bulkhead, and told once", function()
    local first = g:begin("GET", "/crowded?" .. origin.target { "until:done", OK })
    wait.for_("the first to be inside", function() return g:bulkhead("crowded").in_use == 1 end)
    for i = 1, 20 do assert.equal(503, get("/crowded", "crowd-" .. i).status) end
    local event = g:wait_log("bulkhead.transition", { name = "crowded", to = "refusing" })
    assert.is_true(event.refused >= 1)
    assert.equal(20, g:metric("weir_bulkhead_calls_total", 'name="crowded"',
      'kind="refused_full"'))
    assert.matches("crowded", page())
    assert.matches("bulkhead +crowded: bulkhead_full", explain "crowd-20")
    o:release "done"
    assert.equal(200, first:response().status)
    event = wait.for_("it to be over", function()
      return g:log("bulkhead.transition", { name = "crowded", to = "calm" })[1]
    end, 30)
    assert.equal(20, event.refused)
    assert.equal(2, #g:log("bulkhead.transition", { name = "crowded" }))
  end)

  it("a reload that fails says where, and changes nothing", function()
    local verdict = g:reload { SCRIPT .. "\noops(" }
    assert.equal(422, verdict.status)
    local event = g:wait_log("reload", { result = "failed" })
    assert.matches("main%.lua$", event.file)
    assert.is_number(event.line)
    assert.equal(1, (g:metric("weir_policy_reloads_total", 'result="failed"')))
    wait.for_("the page to say so", function() return page():find("main.lua", 1, true) end)
    assert.equal(1, g:status().generation.number)
    g:reload { SCRIPT }
  end)

  it("chaos names itself", function()
    assert.equal(200, g:ask("POST", "/chaos/apply?name=storm").status)
    g:wait_log("chaos.transition", { name = "storm", armed = true })
    assert.equal(502, get("/stormy", "storm").status)
    assert.equal(1, (g:metric("weir_chaos_armed", 'name="storm"')))
    wait.for_("the page to say so", function() return page():find("storm", 1, true) end)
    assert.matches("chaos +storm: hit.*chaos 'storm'", explain "storm")
    g:ask("POST", "/chaos/rollback?name=storm")
  end)
end)
