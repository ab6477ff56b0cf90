--- Policies inside policies, retries that meet at run time, and what a refusal says of itself.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local OK = origin.answer("200 OK", "fine")
local BAD = origin.answer("503 Service Unavailable", "bad")

describe("composition", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local function quick(max)
        return weir.retry { max = max, backoff = "1ms..1ms", budget = { min = 10000 } }
      end
      -- /name/run?steps goes to the origin's /run?steps.
      local function forward(req)
        local path = req.target:gsub("^/[%w-]+", "")
        return function() return up:forward(req, { path = path }) end
      end

      local inner = weir.policy("inner", { quick(1),
        weir.breaker { failure_rate = 0, consecutive = 6, open = "1h", open_max = "1h" } })
      local outer = weir.policy("outer", { weir.deadline "5s", quick(1), inner })
      weir.route("GET /nested/*rest", function(req) return outer(forward(req)) end)
      weir.route("GET /alone/*rest", function(req) return inner(forward(req)) end)

      local near = weir.policy("near", { quick(1), weir.timeout "1s" })
      local far = weir.policy("far", { weir.deadline "5s", quick(2), weir.timeout "1s" })
      weir.route("GET /met/*rest", function(req)
        return far(function()
          return weir.race { function() return near(forward(req)) end }
        end)
      end)
      local one = weir.policy("one", { quick(1), weir.timeout "1s" })
      local two = weir.policy("two", { quick(1), weir.timeout "1s" })
      weir.route("GET /beside/*rest", function(req)
        local ok = pcall(one, function() error "raised" end)
        one(forward(req))
        return two(forward(req))
      end)

      local pooled = weir.policy("pooled",
        { weir.bulkhead { max = 1, queue = 0, wait = 0, name = "critical" } })
      local within = weir.policy("within",
        { weir.bulkhead { max = 1, queue = 0, wait = 0, name = "critical" } })
      weir.route("GET /full", function(req)
        return pooled(function() return within(function() return "in" end) end)
      end)
      local shared = weir.policy("shared", { weir.breaker { name = "inner", failure_rate = 0,
        consecutive = 6, open = "1h", open_max = "1h" } })
      weir.route("GET /shared/*rest", function(req) return shared(forward(req)) end)
      local wide = weir.policy("wide", { weir.bulkhead { max = 1, queue = 1, wait = "20ms" } })
      weir.route("GET /late", function(req)
        return wide(function() return wide(function() return "in" end) end)
      end)
    ]] }
    g:expect "breaker.transition"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function asked(path, steps)
    local before = o:counts().methods.GET or 0
    local r = g:get("/" .. path .. origin.target(steps))
    return (o:counts().methods.GET or 0) - before, r
  end

  it("runs the layers of a policy inside another, with the state of its name", function()
    local count, r = asked("nested", { OK })
    assert.same({ 1, 200 }, { count, r.status })
    assert.equal(4, (asked("nested", { BAD })))
    assert.is_nil(g:breaker "outer")
    assert.equal("closed", g:breaker("inner").state)
    assert.equal(2, (asked("alone", { BAD }))) -- six failures in a row now
    assert.equal("open", g:breaker("inner").state)
    assert.equal(0, (asked("nested", { OK })))
  end)

  it("logs once, with the product, that retries met while serving", function()
    assert.equal(6, (asked("met", { BAD })))
    assert.equal(6, (asked("met", { BAD })))
    g:wait_log("policy.warning", { id = "nested-retries", policy = "near" })
    local lines = g:log("policy.warning", { id = "nested-retries", policy = "near" })
    assert.equal(1, #lines)
    assert.same({ "far", 6, "warn" }, { lines[1].outer, lines[1].attempts, lines[1].level })
  end)

  it("does not take retries one after the other for nested ones, raised or returned", function()
    assert.equal(4, (asked("beside", { BAD })))
    assert.same({}, g:log("policy.warning", { id = "nested-retries", policy = "two" }))
    assert.same({}, g:log("policy.warning", { id = "nested-retries", policy = "one" }))
  end)

  it("names policy, primitive and time in a breaker's refusal, in answer and log", function()
    while g:breaker("inner").state ~= "open" do asked("alone", { BAD }) end
    local r = g:get("/nested" .. origin.target { OK })
    local problem = json.decode(r.body)
    assert.same({ 503, "refused", "inner", "breaker" },
      { r.status, problem.kind, problem.policy, problem.primitive })
    assert.equal(tonumber(r.headers["retry-after"]), problem.retry_after)
    assert.is_true(problem.retry_after > 1000)
    local line = g:wait_log("access", { refused_by = "breaker inner" })
    assert.same({ "inner", "breaker_open" }, { line.policy, line.why })
    assert.is_true(line.retry_after > 1000)
  end)

  it("shares a primitive that has a name of its own", function()
    while g:breaker("inner").state ~= "open" do asked("alone", { BAD }) end
    local count, r = asked("shared", { OK })
    assert.same({ 0, "shared" }, { count, json.decode(r.body).policy })
    assert.is_nil(g:breaker "shared")
  end)

  it("names the policy whose layer asked, not the pool that others share", function()
    local r = g:get "/full"
    local problem = json.decode(r.body)
    assert.same({ 503, "within", "bulkhead", 1 },
      { r.status, problem.policy, problem.primitive, problem.retry_after })
    local line = g:wait_log("access", { refused_by = "bulkhead critical" })
    assert.same({ "within", "bulkhead_full", 1 }, { line.policy, line.why, line.retry_after })
  end)

  it("says the same of a refusal after a wait", function()
    local problem = json.decode(g:get("/late").body)
    assert.same({ "wide", "bulkhead" }, { problem.policy, problem.primitive })
    assert.is_not_nil(g:wait_log("access", { refused_by = "bulkhead wide", policy = "wide" }))
  end)

  it("logs what `weir check` warns of when it starts and when it reloads, and goes live", function()
    local function told() return #g:log("policy.warning", { id = "nested-retries", policy = "inner",
      advice = "retry at one level only, the one nearest to the upstream" }) end
    local before = told()
    assert.is_true(before >= 1)
    assert.equal("live", g:reload().result)
    wait.for_("it to be told once more", function() return told() == before + 1 end)
  end)
end)
