local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

-- Rates are of hours where nothing may come back during the spec.
local function script(tenant_rate)
  return (([[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })

    local function route(pattern, guarded)
      weir.route(pattern, { deadline = "60s" }, function()
        return guarded(function() return "fine" end)
      end)
    end
    route("GET /tenant", weir.policy("tenant", {
      weir.limiter { rate = "%s", burst = 10, key = "header:X-Tenant", headers = true } }))
    route("GET /window", weir.policy("window", {
      weir.limiter { rate = "5/h", algorithm = "sliding_window", key = "client" } }))
    route("GET /shadow", weir.policy("shadow", {
      weir.limiter { rate = "1/h", mode = "shadow" } }))
    local behind = weir.policy("behind", { weir.limiter { rate = "10/h", burst = 10,
      cost = function(req) return tonumber(req.headers["x-cost"]) end } })
    weir.route("GET /behind", function()
      weir.spawn(function() return behind(function() return true end) end)
      return "spawned"
    end)
    route("GET /cost", weir.policy("cost", {
      weir.limiter { rate = "10/h", burst = 10, cost = function(req)
        return tonumber(req.headers["x-cost"]) end } }))
    for _, name in ipairs { "one", "two" } do
      route("GET /pool/" .. name, weir.policy(name, {
        weir.limiter { rate = "4/h", burst = 4, name = "pool" } }))
    end
    local forwarded = weir.policy("drained", { weir.limiter { rate = "1000/s", key = "client" } })
    weir.route("/run", function(req) return forwarded(function() return up:forward(req) end) end)

    local slow = weir.limiter { rate = "10/m", burst = 1, name = "slow" }
    local quick = weir.limiter { rate = "20/s", burst = 1, name = "quick" }
    local function ask(l, method, ...)
      local before = weir.now()
      local ok, err = l[method](l, ...)
      err = err or {}
      return weir.json(ok and 200 or 429, { after = err.after, kind = err.kind, policy = err.policy,
        primitive = err.primitive, at = weir.now(), took = weir.now() - before })
    end
    weir.route("GET /slow/try", function() return ask(slow, "try") end)
    weir.route("GET /slow/wait", { deadline = "60s" }, function()
      return ask(slow, "wait", "50s")
    end)
    weir.route("GET /slow/short", function() return ask(slow, "wait", "1s") end)
    weir.route("GET /quick/wait", function() return ask(quick, "wait", "5s") end)
    weir.route("POST /drain", function() slow:drain("20s") return "drained" end)
  ]]):gsub("%%s", tenant_rate))
end

describe("a limiter", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, (script "5/h") }
    for _, event in ipairs { "worker.exit", "script.error", "script", "reload" } do
      g:expect(event)
    end
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  --- How many of `times` requests pass, and the last that did not.
  local function count(path, headers, times)
    local passed, last = 0, nil
    for _ = 1, times do
      local r = g:get(path, headers)
      if r.status == 200 then
        passed = passed + 1
      else
        assert.equal(429, r.status)
        last = r
      end
    end
    return passed, last
  end

  it("gives each key its own burst, in all workers together", function()
    local passed, refused = count("/tenant", { ["X-Tenant"] = "a" }, 25)
    assert.equal(10, passed)
    assert.equal("limited", json.decode(refused.body).kind)
    assert.equal(10, (count("/tenant", { ["X-Tenant"] = "b" }, 12)))
    assert.equal(10, (count("/tenant", nil, 12)), "who has no key shares one")
  end)

  it("shows whom it refuses most, by a name that refusals bear too", function()
    count("/tenant", { ["X-Tenant"] = "greedy" }, 60)
    local _, refused = count("/tenant", { ["X-Tenant"] = "greedy" }, 1)
    local key = json.decode(refused.body).detail:match " to key (%x+)"
    local most = g:limiter("tenant").refused_keys[1]
    assert.same({ key, 51 }, { most.key, most.refused })
    assert.is_true(most.last_s >= 0)
  end)

  it("says with whole seconds, rounded up, when the next call passes", function()
    local _, refused = count("/tenant", { ["X-Tenant"] = "c" }, 11)
    local after = tonumber(refused.headers["retry-after"])
    assert.is_true(after > 0 and after <= 720, after)
    local _, again = count("/tenant", { ["X-Tenant"] = "c" }, 1)
    assert.is_true(tonumber(again.headers["retry-after"]) <= after)
  end)

  it("tells clients how they stand, on answers and on refusals", function()
    local first = g:get("/tenant", { ["X-Tenant"] = "d" })
    assert.equal('"tenant";q=5;w=3600', first.headers["ratelimit-policy"])
    assert.matches('^"tenant";r=9;t=7%d%d$', first.headers["ratelimit"])
    local _, refused = count("/tenant", { ["X-Tenant"] = "d" }, 10)
    assert.matches('^"tenant";r=0;t=%d+$', refused.headers["ratelimit"])
    assert.equal(nil, g:get("/shadow").headers["ratelimit"])
  end)

  it("counts calls in a sliding window", function()
    assert.equal(5, (count("/window", nil, 20)))
  end)

  it("charges one where there is no request to ask the function about", function()
    assert.equal(200, g:get("/behind").status)
    wait.for_("the call behind", function() return g:limiter("behind").left == 9 end)
  end)

  it("charges what a policy's function says", function()
    assert.equal(3, (count("/cost", { ["X-Cost"] = "3" }, 5)))
    assert.equal(1, (count("/cost", { ["X-Cost"] = "1" }, 5)))
    local r = g:get("/cost", { ["X-Cost"] = "11" })
    assert.equal(429, r.status)
    assert.matches("too_costly%): the call costs 11, more than ever passes at once", r.body)
    assert.equal(500, g:get("/cost", { ["X-Cost"] = "0" }).status)
    local said = g:wait_log("script.error", { route = "/cost" }).message
    assert.matches("^main.lua:%d+: limiter: the function `cost` returned 0; it must be", said)
  end)

  it("with a name is one for all policies that say it", function()
    assert.equal(4, (count("/pool/one", nil, 2)) + (count("/pool/two", nil, 8)))
    assert.equal(4, g:limiter "pool".admitted)
  end)

  it("refuses nothing in shadow, and tells what it would have refused", function()
    local before = g:metric("weir_limiter_calls_total", 'name="shadow"', 'kind="shadow_refused"')
    assert.equal(10, (count("/shadow", nil, 10)))
    local after = g:metric("weir_limiter_calls_total", 'name="shadow"', 'kind="shadow_refused"')
    assert.is_true(after - before >= 9)
  end)

  it("stops for as long as an upstream's 429 says", function()
    local busy = origin.target { origin.answer("429 Slow", "x", "Retry-After: 1800\r\n") }
    local fine = origin.target { origin.answer("200 OK", "x") }
    assert.equal(200, g:get(fine).status)
    assert.equal(429, g:get(busy).status)
    local seen = o:counts()
    local r = g:get(fine)
    assert.equal(429, r.status)
    assert.equal("limited", json.decode(r.body).kind)
    local after = tonumber(r.headers["retry-after"])
    assert.is_true(after > 1700 and after <= 1800, after)
    assert.same(seen.methods, o:counts().methods, "the origin was not asked")
  end)

  local function decoded(r) return json.decode(r.body) end

  it("lets calls of all workers wait for their turn", function()
    local clients, times = {}, {}
    g:get "/quick/wait"
    for i = 1, 6 do clients[i] = g:begin("GET", "/quick/wait") end
    for i, c in ipairs(clients) do
      local r = decoded(c:response())
      assert.is_nil(r.kind)
      times[i] = r.at
      c:close()
    end
    table.sort(times)
    assert.is_true(times[6] - times[1] > 0.2, "five gaps of 50 ms, one less for a late timer")
    assert.equal(7, g:limiter "quick".admitted)
    assert.equal(0, g:limiter "quick".waiting)
  end)

  local function waiting(n)
    wait.for_(n .. " waiting calls", function()
      local now = g:limiter "slow".waiting
      return now == n, now
    end)
  end

  it("refuses at once a wait that cannot succeed, and frees the places of who leaves", function()
    assert.equal(200, g:get("/slow/try").status)
    local short = decoded(g:get "/slow/short")
    assert.equal("limited", short.kind)
    assert.equal("slow", short.policy)
    assert.equal("limiter", short.primitive)
    assert.equal(0, short.took, "without waiting")
    local clients = {}
    for i = 1, 3 do
      clients[i] = g:begin("GET", "/slow/wait")
      waiting(i)
    end
    assert.is_true(decoded(g:get "/slow/try").after > 18, "behind three that wait")
    for i = 1, 3 do clients[i]:close() end
    waiting(0)
    assert.is_true(decoded(g:get "/slow/try").after <= 6, "they owe nothing")
    assert.equal(3, g:metric("weir_limiter_calls_total", 'name="slow"', 'kind="cancelled"'))
  end)

  it("takes nothing for calls of workers that died waiting", function()
    local clients = {}
    for i = 1, 4 do
      clients[i] = g:begin("GET", "/slow/wait")
      waiting(i)
    end
    for _, pid in ipairs(g:pids()) do
      os.execute("kill -9 " .. pid)
      wait.for_("a successor of " .. pid, function()
        for _, w in ipairs(g:status().workers) do
          if w.pid == pid or w.pid == 0 then return false end
        end
        return true
      end)
      g:workers_live()
    end
    waiting(0)
    for _, c in ipairs(clients) do c:close() end
    local r = g:get "/slow/try"
    assert.is_true(r.status == 200 or decoded(r).after <= 6)
  end)

  it("is drained by its method", function()
    assert.equal(200, g:request("POST", "/drain").status)
    local after = decoded(g:get "/slow/try").after
    assert.is_true(after > 6 and after <= 20, after)
  end)

  it("keeps what was used when a reload changes its rate", function()
    assert.equal(6, (count("/tenant", { ["X-Tenant"] = "e" }, 6)))
    local verdict = g:reload { (script "50/h"):gsub("burst = 10, key", "burst = 20, key") }
    assert.equal("live", verdict.result)
    assert.equal(14, (count("/tenant", { ["X-Tenant"] = "e" }, 30)))
    assert.equal(10, (count("/tenant", { ["X-Tenant"] = "a" }, 30)), "ten of twenty were used")
  end)

  it("keeps what was used when a reload changes how many keys it holds", function()
    local text = (script "50/h"):gsub("burst = 10, key", "burst = 20, max_keys = 1000, key")
    assert.equal("live", g:reload { text }.result)
    assert.equal(0, (count("/tenant", { ["X-Tenant"] = "a" }, 5)))
    assert.equal(20, (count("/tenant", { ["X-Tenant"] = "f" }, 30)))
  end)

  it("says what is wrong with its options where they stand", function()
    local cases = {
      { '{}', "limiter: option 'rate' is required" },
      { '"10 per second"', 'limiter: rate is "10 per second"; it must be a count and a time' },
      { '"0/s"', 'limiter: rate is "0/s"; it must be 1 to 1000000 calls in a time' },
      { '"2000000/s"', 'limiter: rate is "2000000/s"; it must be 1 to 1000000 calls' },
      { '{ rate = 5, key = "tenant" }', 'key is "tenant"; it must be "client"' },
      { '{ rate = 5, burts = 1 }', "unknown option 'burts' %(did you mean 'burst'%?%)" },
      { '{ rate = 5, burst = 2, algorithm = "sliding_window" }', "burst goes with" },
      { '{ rate = 10, cost = 20 }', "cost is 20, above the burst of 10: no call could ever pass" },
      { '{ rate = "9/m", cost = 10, algorithm = "sliding_window" }', "above the rate of 9" },
      { '{ rate = "5/10ms", algorithm = "sliding_window" }', "at least 1 s" },
    }
    for _, case in ipairs(cases) do
      local verdict = g:reload { ([[
        local weir = require "weir"
        weir.policy("x", { weir.limiter %s })]]):format(case[1]) }
      assert.equal("failed", verdict.result, case[1])
      assert.equal(2, verdict.line, case[1])
      assert.matches(case[2], verdict.message)
    end
  end)
end)
