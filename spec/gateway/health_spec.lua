-- Health checks as clients, operators and dependencies see them.
local dependency = require "spec.support.dependency"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local wait = require "spec.support.wait"
local zone = require "spec.support.zone"

-- The one measurement of a check in a health document.
local function part(document, name)
  return document.checks[name .. ":responseTime"][1]
end

local function document(g)
  local r = g:ask("GET", "/health")
  return json.decode(r.body), r
end

local function wait_verdict(g, name, verdict)
  return wait.for_(name .. " to be " .. verdict, function()
    local check = part(document(g), name)
    return check.verdict == verdict and check, check.verdict .. ": " .. tostring(check.output)
  end)
end

local function postgres_error(code, message)
  local fields = ("SFATAL\\0C%s\\0M%s\\0\\0"):format(code, message)
  local size = #fields:gsub("\\0", "0") + 4
  return ("E\\0\\0\\x%02x\\x%02x%s"):format(math.floor(size / 256), size % 256, fields)
end

describe("a health check", function()
  -- kind, mode of the server, verdict, error kind, what its output says
  local servers = {
    { "tcp", "hang", "up" },
    { "tcp", "refuse", "down", "connect", "Connection refused" },
    { "redis", "pong", "up" },
    { "redis", "say:-NOAUTH Authentication required.\\r\\n", "up" },
    { "redis", "say:-LOADING Redis is loading\\r\\n", "down", "refused", "is loading" },
    { "redis", "say:-MASTERDOWN Link with MASTER is down\\r\\n", "down", "refused", "MASTERDOWN" },
    { "redis", "say:HTTP/1.1 400 Bad Request\\r\\n\\r\\n", "down", "protocol", "no Redis" },
    { "redis", "endless", "down", "protocol", "no Redis" },
    { "redis", "say:+" .. ("x"):rep(5000), "down", "protocol", "longer than" },
    { "redis", "hang", "down", "timeout", "time limit" },
    { "redis", "drip:+PONG\\r\\n", "down", "timeout", "time limit" },
    { "redis", "close", "down", "reset", "closed before the answer" },
    { "redis", "reset", "down", "reset", "" },
    { "postgres", "postgres:R\\0\\0\\0\\x08\\0\\0\\0\\0", "up" },
    { "postgres", "postgres:" .. postgres_error("28000", "no pg_hba.conf entry"), "up" },
    { "postgres", "postgres:" .. postgres_error("57P03", "the database system is starting up"),
      "down", "refused", "starting up" },
    { "postgres", "postgres:" .. postgres_error("53300", "sorry, too many clients already"),
      "down", "refused", "too many clients" },
    { "postgres", "say:+PONG\\r\\n", "down", "protocol", "no PostgreSQL" },
    { "postgres", "hang", "down", "timeout", "time limit" },
    { "http", "say:HTTP/1.1 204 No Content\\r\\n\\r\\n", "up" },
    { "http", "say:HTTP/1.1 503 No\\r\\nContent-Length: 0\\r\\n\\r\\n", "down", "refused", "503" },
    { "http", "hang", "down", "timeout", "time limit" },
    { "http", "say:+PONG\\r\\n", "down", "protocol", "" },
  }

  local functions = {
    { "function() return true end", "up" },
    { "function() weir.sleep '1ms' return 'fine' end", "up" },
    { "function() return false end", "down", "refused", "the check returned false" },
    { "function() return nil, weir.error('limited', 'too much') end", "down", "limited",
      "too much" },
    { "function() return nil, 'plain words' end", "down", "script", "plain words" },
    { "function() error 'broken' end", "down", "script", "broken" },
    { "function() while true do end end", "down", "script", "script_burst" },
    { "function() weir.sleep '20s' return true end", "down", "timeout", "time limit" },
  }

  local g, d

  setup(function()
    local names, script = {}, { 'local weir = require "weir"\nweir.listen "127.0.0.1:$(port)"\n' }
    for i = 1, #servers do names[i] = "s" .. i end
    d = dependency.start(names)
    for i, case in ipairs(servers) do
      if case[2] ~= "refuse" then d:set("s" .. i, case[2]) end
      local at = (case[1] == "http" and "http://127.0.0.1:%s/healthz" or "127.0.0.1:%s")
        :format(d.ports["s" .. i])
      script[#script + 1] = ('weir.health("s%d", { %s = "%s", interval = "100ms", '
        .. 'timeout = "%s", critical = false })'):format(i, case[1], at,
          case[4] == "timeout" and "100ms" or "10s")
    end
    for i, case in ipairs(functions) do
      script[#script + 1] = ('weir.health("f%d", { check = %s, interval = "100ms", '
        .. 'timeout = "%s", critical = false })'):format(i, case[1],
          case[3] == "timeout" and "100ms" or "10s")
    end
    script[#script + 1] = 'weir.route("GET /health", function() return weir.health_response() end)'
    -- One of the functions computes for as long as it is let.
    g = gateway.start { workers = 2, table.concat(script, "\n") }
    for _, event in ipairs { "health.transition", "script.error" } do g:expect(event) end
  end)
  teardown(function()
    g:stop()
    d:stop()
  end)

  for i, case in ipairs(servers) do
    it(("%s finds a server that does %q %s"):format(case[1], case[2]:sub(1, 40), case[3]),
      function()
        local check = wait_verdict(g, "s" .. i, case[3])
        if case[3] == "up" then
          assert.is_nil(check.output)
          assert.equal("pass", check.status)
          assert.equal("ms", check.observedUnit)
        else
          assert.equal(case[4], check.history[1].error, check.output)
          assert.truthy(check.output:find(case[5], 1, true), check.output)
          assert.equal("fail", check.status)
        end
        local is_store = case[1] == "redis" or case[1] == "postgres"
        assert.equal(is_store and "datastore" or "component", check.componentType)
        assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", check.time)
      end)
  end

  for i, case in ipairs(functions) do
    it(("of Lua, %s, finds it %s"):format(case[1], case[2]), function()
      local check = wait_verdict(g, "f" .. i, case[2])
      if case[2] == "down" then
        assert.equal(case[3], check.history[1].error, check.output)
        assert.truthy(check.output:find(case[4], 1, true), check.output)
      end
    end)
  end

  it("goes on, whatever became of the one before", function()
    for i in ipairs(functions) do
      wait.for_("three results of f" .. i, function()
        return #part(document(g), "f" .. i).history >= 3
      end)
    end
  end)

  it("is shown to operators", function()
    wait_verdict(g, "s1", "up")
    wait_verdict(g, "s2", "down")
    for _, verb in ipairs { { "status" }, { "health", "ls" } } do
      local child = process.spawn { process.program "weir", verb[1], "--admin", g.admin, verb[2] }
      assert.equal(0, child:wait(), child:stderr())
      assert.matches("s1 +up ", child:stdout())
      assert.matches("s2 +down ", child:stdout())
      assert.matches("Connection refused", child:stdout())
      child:kill()
    end
  end)

  it("that is not critical makes a warning, and the gateway stays ready", function()
    wait_verdict(g, "s2", "down")
    local page, r = document(g)
    assert.equal("warn", page.status)
    assert.equal(200, r.status)
    assert.equal("application/health+json", r.headers["content-type"])
    assert.equal(200, g:ask("GET", "/readyz").status)
    r = g:get "/health"
    assert.equal(200, r.status)
    assert.equal("application/health+json", r.headers["content-type"])
    assert.equal("warn", json.decode(r.body).status)
  end)
end)

describe("the verdict of a health check", function()
  local g, d

  local script = [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local store = weir.health("store", { redis = "127.0.0.1:$(store)", interval = "50ms",
      timeout = "$(timeout)", rise = 2, fall = 2 })
    local guarded = weir.policy("store", { weir.breaker { health = "store", probes = 1 } })
    weir.route("GET /ok", function() return tostring(store:ok()) end)
    weir.route("GET /status", function() return weir.json(200, store:status()) end)
    weir.route("GET /guarded", function() return guarded(function() return "fine" end) end)
    weir.route("GET /health", function() return weir.health_response() end)
  ]]

  before_each(function()
    d = dependency.start { "store", "other" }
    d:set("store", "pong")
    g = gateway.start { workers = 3, store = d.ports.store, timeout = "10s", script }
    for _, event in ipairs { "health.transition", "breaker.transition", "worker.exit" } do
      g:expect(event)
    end
    wait_verdict(g, "store", "up")
    -- What nobody has told of yet folds into what comes next.
    g:wait_log("health.transition", { from = "unknown", to = "up" })
  end)
  after_each(function()
    g:stop()
    d:stop()
  end)

  it("is known to all workers at once, drives readiness and breaker, and is logged once",
    function()
      assert.equal(200, g:ask("GET", "/readyz").status)
      d:set("store", "refuse")
      wait.for_("readiness to end", function() return g:ask("GET", "/readyz").status == 503 end)
      for _ = 1, 30 do assert.equal("false", g:get("/ok").body) end
      local page, r = document(g)
      assert.equal("fail", page.status)
      assert.equal(503, r.status)
      assert.equal(503, g:get("/health").status)
      assert.equal("open", g:breaker("store").state)
      local refused = g:get "/guarded"
      assert.equal(503, refused.status)
      assert.matches("refused %(health%)", refused.body)
      g:wait_log("health.transition", { to = "down" })
      d:set("store", "pong")
      wait.for_("readiness", function() return g:ask("GET", "/readyz").status == 200 end)
      for _ = 1, 30 do assert.equal("true", g:get("/ok").body) end
      assert.equal("half_open", g:breaker("store").state)
      assert.equal(200, g:get("/guarded").status)
      wait.for_("the breaker to close", function() return g:breaker("store").state == "closed" end)
      g:wait_log("health.transition", { from = "down", to = "up" })
      g:wait_log("breaker.transition", { to = "closed" })
      local seen = {}
      for i, line in ipairs(g:log "health.transition") do seen[i] = line.from .. ">" .. line.to end
      assert.same({ "unknown>up", "up>down", "down>up" }, seen)
      assert.equal(1, #g:log("breaker.transition", { cause = "health_down" }))
      assert.equal(1, #g:log("breaker.transition", { cause = "health_up" }))
    end)

  it("comes from one check at a time, whatever the number of workers", function()
    wait.for_("30 checks", function()
      return g:metric("weir_health_checks_total", 'result="passed"') >= 30
    end)
    d:set("store", "hang")
    wait.for_("the last one to hang", function()
      local made = g:metric("weir_health_checks_total", 'result="passed"')
      return d:count "store" == made + 1
    end)
    assert.equal(0, (g:metric("weir_health_checks_total", 'result="lost"')))
  end)

  it("is asked for by another worker when the one that asks dies", function()
    g:write { store = d.ports.other, timeout = "50s", script }
    d:set("other", "hang")
    assert.equal(200, g:reload().status)
    local holder = wait.for_("a check that hangs", function() return d:count "other" == 1 end)
    assert.truthy(holder)
    for _, pid in ipairs(g:pids()) do
      if d:count "other" > 1 then break end
      assert.equal(0, os.execute("kill -KILL " .. pid))
    end
    wait.for_("the next to ask", function() return d:count "other" >= 2 end)
    assert.is_true(g:metric("weir_health_checks_total", 'result="lost"') >= 1)
    d:set("other", "pong")
    g:workers_live()
  end)

  it("outlives a reload, also one in the middle of a check", function()
    local function age() return json.decode(g:get("/status").body).since end
    local before = age()
    local count = d:count "store" -- before: the next one hangs for long
    d:set("store", "hang")
    wait.for_("a check to hang", function() return d:count "store" > count end)
    d:set("store", "pong")
    assert.equal(200, g:reload({ store = d.ports.store, timeout = "9s", script }).status)
    local passed = g:metric("weir_health_checks_total", 'result="passed"')
    wait.for_("checks to go on", function()
      return g:metric("weir_health_checks_total", 'result="passed"') > passed
    end)
    assert.is_true(age() >= before)
    assert.equal(1, #g:log "health.transition")
  end)

  it("does not matter any more when the check is no longer declared", function()
    d:set("store", "refuse")
    wait.for_("readiness to end", function() return g:ask("GET", "/readyz").status == 503 end)
    assert.equal(200, g:reload({ [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local guarded = weir.policy("store", { weir.breaker { probes = 1 } })
      weir.route("GET /guarded", function() return guarded(function() return "fine" end) end)
    ]] }).status)
    wait.for_("readiness", function() return g:ask("GET", "/readyz").status == 200 end)
    wait.for_("the breaker to be let go", function() return g:get("/guarded").status == 200 end)
    assert.same({}, json.decode(g:ask("GET", "/health").body).checks)
  end)

  it("is made anew for another target", function()
    assert.equal(200, g:reload({ store = d.ports.other, timeout = "9s", script }).status)
    local check = wait_verdict(g, "store", "down")
    assert.equal("connect", check.history[1].error)
    assert.is_true(check.history[2].ok) -- what was is still told
  end)

  it("tells a handler all about it", function()
    wait.for_("64 results", function()
      local status = json.decode(g:get("/status").body)
      return #status.history == 64
    end)
    local status = json.decode(g:get("/status").body)
    assert.equal("up", status.state)
    assert.is_true(status.ok)
    assert.is_false(status.stale)
    assert.is_true(status.history[1].age <= status.history[2].age)
  end)
end)

describe("a health check of a name", function()
  it("tries its addresses in turn, and says when there are none", function()
    local d = dependency.start { "store" }
    d:set("store", "pong")
    local z = zone.start {
      ["store.test"] = { a = { "127.0.0.9", "127.0.0.1" }, ttl = 60 },
      ["ill.test"] = { a = { "127.0.0.8", "127.0.0.9" }, ttl = 60 },
    }
    local g = gateway.start { dns = z.servers, store = d.ports.store, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      for _, name in ipairs { "store", "ill", "none" } do
        weir.health(name, { redis = name .. ".test:$(store)", interval = "50ms",
          critical = false })
      end
    ]] }
    g:expect "health.transition"
    wait_verdict(g, "store", "up")
    local check = wait_verdict(g, "ill", "down")
    assert.equal("connect", check.history[1].error)
    assert.matches("127.0.0.9 port %d+: Connection refused", check.output)
    assert.equal("dns", wait_verdict(g, "none", "down").history[1].error)
    g:stop()
    z:kill()
    d:stop()
  end)
end)

describe("a real Redis", function()
  it("is up, loading nothing, with and without a password, and down when it has gone", function()
    local port = ports.free()
    local function redis(...)
      return process.spawn { "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
        "--appendonly", "no", ... }
    end
    local server = redis()
    local g = gateway.start { redis = port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.health("redis", { redis = "127.0.0.1:$(redis)", interval = "50ms" })
    ]] }
    g:expect "health.transition"
    wait_verdict(g, "redis", "up")
    server:kill()
    wait_verdict(g, "redis", "down")
    server = redis("--requirepass", "secret")
    wait_verdict(g, "redis", "up")
    server:kill()
    g:stop()
  end)
end)

describe("a declaration of a health check", function()
  local cases = {
    { 'weir.health("x", {})', "main.lua:2: health 'x': say what is checked: http, tcp" },
    { 'weir.health("x", { tcp = "a:1", redis = "a:1" })', "it has both tcp and redis" },
    { 'weir.health("x", { tcp = "a" })', 'tcp is "a"; it must be "host:port"' },
    { 'weir.health("x", { tcp = "a:99999" })', 'it must be "host:port"' },
    { 'weir.health("x", { http = "a:99999/" })', "it must be a URL" },
    { 'weir.health("x", { redis = "a:1", timout = 1 })', "did you mean 'timeout'" },
    { 'weir.breaker { health = "dv" }',
      "breaker: there is no health check 'dv' %(there are none%)" },
    { 'weir.health("db", { tcp = "a:1" }) weir.flag("f", { health = "dv" })',
      "flag: there is no health check 'dv' %(did you mean 'db'%?%)" },
    { 'weir.health("db", { tcp = "a:1" }) weir.health("db", { tcp = "a:1" })',
      "health 'db' is declared twice" },
  }
  for _, case in ipairs(cases) do
    it("that is wrong is told where: " .. case[1], function()
      local code, err = gateway.fail_to_start {
        'local weir = require "weir" weir.listen "127.0.0.1:$(port)"\n' .. case[1] }
      assert.equal(78, code)
      assert.matches(case[2], err)
    end)
  end
end)
