--- `weir check`: pipelines, warnings, exit codes. Each rule has layers that trip it and layers that
--- look alike and do not.
local docs = require "spec.support.docs"
local json = require "cjson"
local process = require "spec.support.process"
local tree = require "spec.lint.tree"

-- Kinds of layers by their options alone: a rule looks at nothing else.
local HEAD = [[
local weir = require "weir"
local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:9" } })
local function layer(kind, options)
  return { kind = kind, options = options, place = "main.lua:1",
    wrap = function(_, run) return run end }
end
local D, T, R = weir.deadline, weir.timeout, weir.retry
local function quick(max) return R { max = max, backoff = "10ms" } end
local function hedge() return weir.hedge { delay = "50ms" } end
local function limiter(o) return weir.limiter(o or "10/s") end
local function cached() return layer("cache", {}) end
local function chaos() return weir.chaos { expires = "1m", error = "reset" } end
local function shedder(o) return weir.shedder(o or { limit = 10, queue = 0 }) end
local function direct(pool) return weir.bulkhead { max = 9, queue = 0, name = pool } end
]]

-- id -> { trips, does not }: lists of layers; { route = "POST /x", layers } when routes matter.
local CASES = {
  ["no-deadline"] = { "R(2), T '1s'", "D '9s', R(2), T '1s'", { "weir.breaker()", "T '1s'" },
    { "weir.bulkhead()", "limiter { rate = 9, key = 'client' }" } },
  ["no-attempt-timeout"] = { "D '9s', R(2)", "D '9s', R(2), T '1s'",
      { "D '9s', R(1), weir.breaker()",
    "D '9s', R(0)" } },
  ["attempts-exceed-deadline"] = { "D '2s', quick(2), T '700ms'", "D '2s', quick(2), T '600ms'",
    { "D '2s', R { max = 2, backoff = '150ms..1s' }, T '600ms'",
      "D '2s', quick(2), direct(), T '600ms'" },
    { "D '2s', quick(2), weir.bulkhead { wait = '100ms' }, T '600ms'",
      "D '2s', R { max = 2, backoff = '60ms' }, T '600ms'" } },
  ["timeout-beyond-deadline"] = { "D '1s', T '1s'", "D '1s', T '999ms'",
    { route = "GET /slow", "D '9s', T '9s'", "D '9s', T '8s'" } },
  ["deadline-beyond-route"] = { route = "GET /a", "D '11s', T '1s'", "D '10s', T '1s'" },
  ["wait-beyond-deadline"] = { "D '1s', weir.bulkhead { wait = '1s' }",
    "D '1s', weir.bulkhead { wait = '900ms' }",
    { "D '1s', limiter { rate = 1, wait = '2s' }",
      "D '1s', weir.bulkhead { queue = 0, wait = '1s' }" },
    { "D '1s', shedder { limit = 9, queue = 9, wait = '1s' }", "D '1s', limiter()" } },
  ["retry-outside-breaker"] = {
    "D '9s', R { max = 1, on = { 'connect', 'refused' } }, weir.breaker(), T '1s'",
    "D '9s', R { max = 1, on = { 'connect', 503 } }, weir.breaker(), T '1s'",
    { "D '9s', R { max = 1, on = { 'limited' } }, limiter(), T '1s'",
      "D '9s', R { max = 1, on = { 'refused' } }, T '1s'" } },
  ["hedge-not-idempotent"] = { route = "GET,POST /b", "D '9s', hedge(), T '1s'",
    "D '9s', R(1), T '1s'",
    { route = "GET /b", nil, "D '9s', hedge(), T '1s'" },
    { route = "/any", "D '9s', hedge(), T '1s'", "D '9s', T '1s'" } },
  ["no-jitter"] = { "D '9s', R { max = 1, jitter = 'none' }, T '1s'", "D '9s', R(1), T '1s'",
    { "D '9s', R { max = 1, jitter = 'ratio', ratio = 0 }, T '1s'",
      "D '9s', R { jitter = 'ratio' }, T '1s'" },
    { "D '9s', weir.breaker { jitter = 0 }, T '1s'", "D '9s', weir.breaker(), T '1s'" } },
  ["no-retry-budget"] = { "D '9s', R { budget = false }, T '1s'",
      "D '9s', R { budget = { ratio = 1 } }, T '1s'" },
  ["unbounded-keys"] = { "limiter { rate = 9, key = 'header:X-Tenant' }",
    "limiter { rate = 9, key = 'header:X-Tenant', max_keys = 1000 }",
    { "weir.bulkhead { key = function() end }",
      "weir.bulkhead { key = 'client' }" } },
  ["nested-retries"] = { "D '9s', quick(1), weir.policy('inner-' .. name, { quick(1), T '1s' })",
    "D '9s', quick(1), weir.policy('inner-' .. name, { weir.breaker(), T '1s' })",
    { "D '9s', quick(1), weir.policy('inner-' .. name, { quick(2), T '1s' })",
      "D '9s', quick(1), weir.policy('inner-' .. name, { R(0), T '1s' })" } },
  ["chaos-not-innermost"] = { "D '9s', chaos(), T '1s'", "D '9s', T '1s', chaos(), chaos()" },
  ["breaker-min-calls"] = { "D '9s', weir.breaker { window_calls = 10 }, T '1s'",
    "D '9s', weir.breaker { window_calls = 10, min_calls = 10 }, T '1s'" },
  ["slow-call-beyond-timeout"] = {
      "D '9s', weir.breaker { slow_call = '1s', slow_rate = 0.5 }, T '1s'",
    "D '9s', weir.breaker { slow_call = '900ms', slow_rate = 0.5 }, T '1s'",
    { "D '1s', weir.breaker { slow_call = '1s', slow_rate = 0.5 }, direct(), T '500ms'",
      "D '9s', weir.breaker { slow_call = '1s' }, T '1s'" } },
  ["duplicate-layer"] = { "D '9s', D '5s', T '1s'", "D '9s', T '1s'",
    { "D '9s', weir.bulkhead(), weir.bulkhead(), T '1s'",
      "D '9s', direct 'a', direct 'b', T '1s'" } },
  ["breaker-outside-retry"] = { "D '9s', weir.breaker(), R(1), T '1s'",
      "D '9s', R(1), weir.breaker(), T '1s'" },
  ["breaker-outside-hedge"] = { "D '9s', weir.breaker(), hedge(), T '1s'",
      "D '9s', hedge(), weir.breaker(), T '1s'" },
  ["hedge-outside-retry"] = { "D '9s', hedge(), R(1), T '1s'", "D '9s', R(1), hedge(), T '1s'" },
  ["bulkhead-outside-retry"] = { "D '9s', weir.bulkhead(), R(1), T '1s'",
    "D '9s', direct 'critical', weir.policy('inner-' .. name, { R(1), T '1s' })" },
  ["bulkhead-outside-breaker"] = { "D '9s', weir.bulkhead(), weir.breaker(), T '1s'",
    "D '9s', weir.breaker(), weir.bulkhead(), T '1s'" },
  ["bulkhead-outside-limiter"] = {
      "D '9s', weir.bulkhead(), limiter { rate = 1, wait = '1s' }, T '1s'",
    "D '9s', weir.bulkhead(), limiter(), T '1s'" },
  ["limiter-outside-retry"] = { "D '9s', limiter(), R(1), T '1s'",
    "limiter { rate = 9, key = 'client' }, D '9s', R(1), T '1s'" },
  ["limiter-outside-breaker"] = { "D '9s', limiter(), weir.breaker(), T '1s'",
    "D '9s', weir.breaker(), limiter(), T '1s'" },
  ["throttle-outside-retry"] = { "D '9s', weir.throttle(), R(1), T '1s'",
    "D '9s', R(1), weir.throttle(), T '1s'" },
  ["timeout-outside-retry"] = { "D '9s', T '5s', R(1)", "D '9s', R(1), T '1s'" },
  ["timeout-outside-hedge"] = { "D '9s', T '5s', hedge()", "D '9s', hedge(), T '1s'" },
  ["timeout-outside-bulkhead"] = { "D '9s', T '1s', weir.bulkhead()", "D '9s', T '1s', direct()" },
  ["deadline-inside-retry"] = { "R(1), D '9s', T '1s'", "D '9s', R(1), T '1s'" },
  ["cache-inside-retry"] = { "D '9s', R(1), weir.policy('inner-' .. name, { cached(), T '1s' })",
    "cached(), D '9s', R(1), T '1s'" },
  ["shedder-inside-retry"] = { "D '9s', R(1), shedder(), T '1s'",
      "shedder(), D '9s', R(1), T '1s'" },
}

local function check(text, ...)
  local path = docs.file(text)
  local child = process.spawn { process.program "weir", "check", path, ... }
  local code = child:wait(20)
  local out, err = child:stdout(), child:stderr()
  os.remove(path)
  return code, out, err, path
end

-- One policy for each case, all in one bundle: name -> { id, due }.
local function bundle()
  local lines, due, count = { HEAD }, {}, 0
  local function add(id, layers, route, trips)
    if not layers then return end
    count = count + 1
    local name = ("p%d"):format(count)
    due[name] = { id = id, trips = trips, layers = layers }
    lines[#lines + 1] = ("do local name = %q; local p = weir.policy(name, { %s })"):format(name,
      layers)
    if route then
      lines[#lines + 1] = ("weir.route(%q, function(req) return p(function() return "
        .. "up:forward(req) end) end)"):format((route:gsub("/", "/" .. name .. "/")))
    end
    lines[#lines + 1] = "end"
  end
  for id, case in pairs(CASES) do
    add(id, case[1], case.route, true)
    add(id, case[2], case.route, false)
    for i = 3, 9 do
      local more = case[i]
      if more then
        add(id, more[1], more.route or case.route, true)
        add(id, more[2], more.route or case.route, false)
      end
    end
  end
  return table.concat(lines, "\n"), due
end

describe("weir check", function()
  it("warns of what each rule is about, and not of what looks alike", function()
    local text, due = bundle()
    local code, out, err = check(text, "--json")
    assert.equal(0, code, err .. out)
    local found = {}
    for _, w in ipairs(json.decode(out).warnings) do
      -- Inner policies are called after the one that they stand in.
      local name = w.policy:gsub("^inner%-", "")
      found[name .. " " .. w.id] = w
      assert.matches("^%S+:%d+$", w.place)
      assert.is_true(#w.message > 10 and #w.advice > 5)
    end
    for name, case in pairs(due) do
      local hit = found[name .. " " .. case.id] ~= nil
      assert.equal(case.trips, hit, ("%s: { %s }"):format(case.id, case.layers))
    end
  end)

  it("has a case for each rule, and a rule for each case", function()
    local ids = {}
    for _, path in ipairs(tree.files "^lua/weir/core/rules_.*%.lua$") do
      local source = tree.read(path)
      for id in source:gmatch 'rule%("([%l-]+)"' do ids[id] = true end
      for id in source:gmatch 'id = "([%l-]+)"' do ids[id] = true end
    end
    for id in pairs(ids) do assert.is_table(CASES[id], id) end
    for id in pairs(CASES) do assert.is_true(ids[id], id) end
  end)

  it("says the numbers", function()
    local _, out = check(HEAD .. [[
      weir.policy("slow", { D "2s", quick(2), T "700ms" })
    ]], "--json")
    local w = json.decode(out).warnings[1]
    assert.equal("3 attempts of up to 700ms and pauses of up to 20ms may take 2.12s, the deadline, "
      .. "that of policy 'slow', is 2s", w.message)
    assert.equal("give an attempt at most 660ms, or the deadline at least 2.12s", w.advice)
    local _, hedged = check(HEAD .. [[
      local p = weir.policy("p", { D "2s", hedge(), T "700ms" })
      weir.route("GET,POST /x", function() return p(function() end) end)
    ]], "--json")
    assert.equal("route 'GET,POST /x' takes POST, which may not be sent twice",
      json.decode(hedged).warnings[1].message)
  end)

  it("shows what a route's handler reaches, through modules, objects and inner policies", function()
    local _, out = check(HEAD .. [[
      local inner = weir.policy("inner", { weir.breaker { consecutive = 5 }, T "1s" })
      local outer = weir.policy("outer", { D "2s", inner })
      weir.policy("unused", { D "1s" })
      local Shop = {}
      Shop.__index = Shop
      function Shop:get(req) return outer(function() return up:forward(req) end) end
      local shop = setmetatable({ deep = { { up } } }, Shop)
      weir.route("GET /shop", { deadline = "3s" }, function(req) return shop:get(req) end)
      weir.route("GET /plain", function() return "plain" end)
    ]], "--json")
    local report = json.decode(out)
    local first, second = report.pipelines[1], report.pipelines[2]
    assert.same({ "GET /shop", "3s", { "origin" } },
      { first.pattern, first.deadline, first.upstreams })
    local policy = first.policies[1]
    assert.equal(1, #first.policies)
    assert.equal("outer", policy.name)
    local layers = {}
    for i, l in ipairs(policy.layers) do layers[i] = l.kind .. " " .. l.policy end
    assert.same({ "deadline outer", "breaker inner", "timeout inner" }, layers)
    assert.equal("5", policy.layers[2].options.consecutive)
    assert.same({}, second.policies)
    assert.equal("unused", report.unreached[1].name)
    assert.equal(1, #report.unreached)
  end)

  it("shows the caches and flags beside the policies of a route", function()
    local text = HEAD .. [[
      local p = weir.policy("p", { D "2s", limiter { rate = 5, cost = function() return 1 end } })
      local pages, things = weir.http_cache("pages"), weir.cache("things")
      local beta = weir.flag("beta")
      weir.route("GET /p", function(req)
        if not beta:on() then return things:get "x" end
        return pages:serve(req, function() return p(function() return up:forward(req) end) end)
      end)
      weir.route("GET /q", function(req) return up:forward(req) end)
    ]]
    local _, out = check(text)
    assert.matches("    flags beta\n    caches pages, things\n    policy p  [^\n]+\n"
      .. "      > deadline 2s\n      > limiter rate=5 cost=function\n    upstreams origin\n", out)
    local _, said = check(text, "--json")
    local first, second = unpack(json.decode(said).pipelines)
    assert.same({ { "beta" }, { "pages", "things" }, {}, {} },
      { first.flags, first.caches, second.flags, second.caches })
  end)

  it("prints the same as text, with places that can be opened from here", function()
    local code, out, _, path = check(HEAD .. [[
      local p = weir.policy("p", { D "2s", R { max = 1, jitter = "none" }, T "500ms" })
      weir.route("GET /p", function(req) return p(function() return up:forward(req) end) end)
    ]])
    assert.equal(0, code)
    assert.matches("GET      /p  deadline 10s  " .. path .. ":%d+", out)
    assert.matches("    policy p  " .. path .. ":%d+\n      > deadline 2s\n      > retry max=1 "
      .. "backoff=50ms..1s jitter=none\n      > timeout 500ms\n    upstreams origin\n", out)
    assert.matches(path .. ":%d+: warning: policy 'p': the pauses of retry %(50ms..1s%) have no "
      .. "jitter %[no%-jitter%]\n", out)
    assert.matches("fine %(1 route, 0 listeners, 1 file, 1 warning%)\n$", out)
  end)

  it("fails on warnings when told to be strict, and only then", function()
    local bad = HEAD .. "weir.policy('p', { R(2) })"
    local good = HEAD .. "weir.policy('p', { D '2s' })"
    assert.equal(0, (check(bad)))
    assert.equal(1, (check(bad, "--strict")))
    assert.equal(1, (check(bad, "--strict", "--json")))
    assert.equal(0, (check(good, "--strict")))
    assert.equal(78, (check("weir.", "--strict")))
  end)

  it("ends for a bundle that closes over a great deal, in cycles", function()
    local code, out = check(HEAD .. [[
      local all = {}
      for i = 1, 50000 do all[i] = { up } end
      all.self = all
      weir.route("GET /x", function(req) return up:forward(all[req.path]) end)
    ]], "--json")
    assert.equal(0, code)
    assert.same({ "origin" }, json.decode(out).pipelines[1].upstreams)
  end)
end)
