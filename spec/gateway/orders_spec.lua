-- What an operator sets apart from the policy holds in all workers, is shown, and outlives workers
-- and reloads until it is taken back.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local members = require "spec.support.members"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

describe("an operator's order about an endpoint", function()
  local g, m

  setup(function()
    m = members.start(2)
    g = gateway.start { workers = 2, a = m:url "a", b = m:url "b", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("shop", { balance = "round_robin", endpoints = { "$(a)", "$(b)" } })
      weir.route("GET /x", function(req) return up:forward(req) end)
    ]] }
    g:expect "admin.action"
  end)
  teardown(function()
    g:stop()
    m:kill()
  end)

  local function order(verb, value)
    local r = g:ask("POST", ("/upstreams/%s?name=shop&value=%s"):format(verb, value))
    assert.equal(200, r.status, r.body)
  end

  local function asked(times)
    m:counts()
    for _ = 1, times do assert.equal(200, g:get("/x").status) end
    local counts = m:counts()
    return counts.a or 0, counts.b or 0
  end

  local function endpoint(letter)
    for _, e in ipairs(g:status().upstreams[1].endpoints) do
      if e.url == m:url(letter) then return e end
    end
  end

  it("drains it in all workers until it is reset", function()
    order("drain", m:url "a")
    wait.for_("all workers to know", function() return (asked(20)) == 0 end)
    assert.is_true(endpoint("a").drained)
    local o = g:status().overrides[1]
    assert.same({ "upstream", "shop", m:url "a", "drained" }, { o.kind, o.name, o.endpoint,
      o.order })
    order("reset", m:url "a")
    wait.for_("all workers to know", function() return (asked(20)) > 0 end)
    assert.is_false(endpoint("a").drained)
  end)

  it("gives it another weight", function()
    order("weight", m:url "a" .. "%2099")
    assert.equal(99, endpoint("a").weight)
    assert.equal(1, endpoint("a").policy_weight)
    assert.equal("weight 99, the policy says 1", g:status().overrides[1].order)
    wait.for_("all workers to know", function()
      local a, b = asked(40)
      return a > 4 * b
    end)
    order("reset", m:url "a")
    assert.equal(1, endpoint("a").weight)
    assert.is_nil(endpoint("a").policy_weight)
  end)

  it("is refused when there is no such endpoint, or it is no weight", function()
    local function refused(verb, value)
      return g:ask("POST", ("/upstreams/%s?name=shop&value=%s"):format(verb, value)).status
    end
    assert.equal(404, refused("drain", "http://127.0.0.9"))
    assert.equal(404, refused("reset", ""))
    assert.equal(400, refused("weight", m:url "a"))
    assert.equal(400, refused("weight", m:url "a" .. "%200"))
    assert.equal(400, refused("weight", m:url "a" .. "%2065536"))
    assert.equal(404, refused("weight", "x%205"))
  end)
end)

describe("an operator's order", function()
  local g

  local SCRIPT = [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local guarded = weir.policy("pay", { weir.breaker {}, weir.bulkhead { max = 4 } })
    local limited = weir.policy("calls", { weir.limiter { rate = "1000/s", burst = 1000 } })
    weir.route("GET /x", function() return guarded(function() return "$(answer)" end) end)
    weir.route("GET /limited", function() return limited(function() return "in" end) end)
  ]]

  setup(function()
    g = gateway.start { workers = 2, answer = "one", SCRIPT }
    g:expect "admin.action"
    g:expect "breaker.transition"
    g:expect "worker.exit"
  end)
  teardown(function() g:stop() end)

  local function order(path)
    local r = g:ask("POST", path)
    assert.equal(200, r.status, r.body)
    return json.decode(r.body).message
  end

  it("resizes a bulkhead and a limiter, in spite of a worker's death and a reload", function()
    assert.equal("bulkhead 'pay': lets that many calls in at once until `reset`",
      order "/bulkheads/resize?name=pay&value=9")
    order "/limiters/resize?name=calls&value=7"
    os.execute("kill -9 " .. g:pids()[1])
    g:wait_log "worker.exit"
    g:workers_live()
    g:write { answer = "two", SCRIPT }
    assert.equal(200, g:reload().status)
    assert.equal("two", g:get("/x").body)
    local b, l = g:bulkhead "pay", g:limiter "calls"
    assert.same({ 9, 4, true }, { b.max, b.policy_max, b.overridden })
    assert.same({ 7, 1000, true }, { l.limit, l.policy_limit, l.overridden })
    order "/bulkheads/reset?name=pay"
    order "/limiters/reset?name=calls"
    b, l = g:bulkhead "pay", g:limiter "calls"
    assert.same({ 4, false }, { b.max, b.overridden })
    assert.same({ 1000, false }, { l.limit, l.overridden })
  end)

  it("is listed while it stands, with who gave it, and told in the log", function()
    assert.same({}, g:status().overrides)
    order "/bulkheads/resize?name=pay&value=9"
    order "/limiters/resize?name=calls&value=7"
    order "/breakers/open?name=pay"
    g:write { answer = "three", SCRIPT }
    assert.equal(200, g:reload().status)
    local seen = {}
    for _, o in ipairs(g:status().overrides) do
      seen[o.kind .. " " .. o.name] = o.order
      assert.is_truthy(o.by:match "^uid %d+, pid %d+$" or o.by:match "^127%.0%.0%.1:%d+$", o.by)
      assert.is_true(o.since_s >= 0 and o.since_s < 600)
    end
    assert.same({ ["bulkhead pay"] = "max 9, the policy says 4",
      ["limiter calls"] = "limit 7, the policy says 1000", ["breaker pay"] = "forced_open" }, seen)
    assert.equal("warn", g:wait_log("admin.action", { action = "/limiters/resize" }).level)
    local child = process.spawn { process.program "weir", "status", "--admin", g.admin }
    child:wait()
    assert.matches("overrides\n +of +order +by +since\n", child:stdout())
    assert.matches("bulkhead pay +max 9, the policy says 4 +%S+", child:stdout())
    child:kill()
    order "/bulkheads/reset?name=pay"
    order "/limiters/reset?name=calls"
    order "/breakers/auto?name=pay"
    assert.same({}, g:status().overrides)
  end)

  it("is refused when it is no size", function()
    for _, value in ipairs { "0", "-1", "1e3", "1000001", "4294967297", "", "nine" } do
      assert.equal(400, g:ask("POST", "/bulkheads/resize?name=pay&value=" .. value).status, value)
      assert.equal(400, g:ask("POST", "/limiters/resize?name=calls&value=" .. value).status, value)
    end
    assert.equal(4, g:bulkhead("pay").max)
  end)

  it("resets a breaker", function()
    order "/breakers/open?name=pay"
    assert.equal(503, g:get("/x").status)
    order "/breakers/reset?name=pay"
    assert.equal(200, g:get("/x").status)
    assert.equal("closed", g:breaker("pay").state)
  end)

  it("sets the level of the log in all processes, those that come later too", function()
    assert.same({ level = "info", started_with = "info" }, g:status().log)
    order "/log?level=warn"
    local function is_silent()
      local before = #g:log "access"
      for _ = 1, 6 do g:get "/x" end
      -- A line would have come before this one, which is written whatever the level is.
      order "/breakers/auto?name=pay"
      return #g:log "access" == before
    end
    wait.for_("no more access lines", is_silent)
    assert.same({ level = "warn", started_with = "info" }, json.decode(g:ask("GET", "/log").body))
    os.execute("kill -9 " .. g:pids()[1])
    g:workers_live()
    wait.for_("no access lines of the new worker", is_silent)
    assert.equal(400, g:ask("POST", "/log?level=loud").status)
    assert.equal(400, g:ask("POST", "/log").status)
    order "/log?level=reset"
    wait.for_("access lines again", function() return not is_silent() end)
    assert.same({ level = "info", started_with = "info" }, g:status().log)
  end)
end)
