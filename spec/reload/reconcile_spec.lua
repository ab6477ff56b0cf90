-- What a reload changes of named state at once, and what it keeps: the table of
-- runtime/policy/README.md. Breaker, bulkhead, budget and cache: state_spec too; flags, health and
-- shedders: their gateway specs too.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local members = require "spec.support.members"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local function no() return nil, weir.error("connect", "down") end
  local function yes() return "ok" end
  local function route(name, policy, fn)
    weir.route("GET /" .. name, function() return policy(fn) end)
  end
  local broken = weir.policy("broken", { weir.breaker { $(breaker) } })
  route("broken", broken, no)
  route("well", broken, yes)
  route("window", weir.policy("window", { weir.limiter {
    rate = "$(rate)", algorithm = "sliding_window" } }), yes)
  route("gcra", weir.policy("gcra", { weir.limiter { rate = "$(rate)", burst = $(burst) } }), yes)
  local keyed = weir.policy("keyed", { weir.limiter { rate = "$(rate)", burst = $(burst),
    key = "header:X-Key", max_keys = $(keys) } })
  weir.route("GET /keyed", function() return keyed(yes) end)
  local second = weir.policy("second", { weir.limiter {
    rate = "$(per_second)/s", algorithm = "sliding_window" } })
  route("second", second, yes)
  route("throttled", weir.policy("throttled", { weir.throttle { $(throttle) } }), no)
  route("hedged", weir.policy("hedged", { weir.hedge { $(hedge) } }), yes)
  route("shed", weir.policy("shed", { weir.shedder { limit = { $(shedder) } } }), yes)
  local drill = weir.chaos { name = "drill", status = 418, guard = false, $(chaos) }
  route("drilled", weir.policy("drilled", { drill }), yes)
  weir.route("POST /drill", function()
    return weir.json(200, { armed = drill:apply "$(armed)" })
  end)
  local up = weir.upstream("up", { endpoints = $(endpoints), outlier = { $(outlier) },
    balance = "round_robin" })
  weir.route("GET /up", function(req) return up:forward(req, { path = "/x" }) end)
  $(more)
]]

local DEFAULTS = {
  breaker = "consecutive = 3, open = '60s', jitter = 0", rate = "100/h", burst = 100, keys = 100,
  per_second = 100, throttle = "min_calls = 10, window = '10m', max_refused = 0.9",
  hedge = "percentile = 0.9, window = '10m', min_calls = 10",
  shedder = "rule = 'aimd', initial = 30",
  chaos = "probability = 1, expires = '10m'", armed = "5m",
  outlier = "consecutive = 3, base = '10m', max = '10m'", more = "",
}

describe("a reload", function()
  local g, m
  local version = 0

  local function files(changes)
    version = version + 1
    local all = { SCRIPT .. "\n-- " .. version, allow_chaos = true, workers = 2,
      endpoints = ("{ %q, %q, %q }"):format(m:url "a", m:url "b", m:url "c") }
    for key, value in pairs(DEFAULTS) do all[key] = value end
    for key, value in pairs(changes or {}) do all[key] = value end
    return all
  end

  setup(function()
    m = members.start(3)
    g = gateway.start(files())
    for _, event in ipairs { "breaker.transition", "endpoint.transition", "chaos.transition",
      "reload" } do g:expect(event) end
  end)
  teardown(function()
    g:stop()
    m:kill()
  end)

  local function reload(changes)
    local verdict = g:reload(files(changes))
    assert.equal(200, verdict.status, verdict.message)
    assert.equal("live", verdict.result)
    g:workers_live()
  end

  local function entry(plural, name)
    for _, e in ipairs(g:status()[plural]) do
      if e.name == name then return e end
    end
  end

  -- How many of `times` requests were answered with `status`.
  local function ask(path, times, status, headers)
    local count = 0
    for _ = 1, times do
      if g:get(path, headers).status == (status or 200) then count = count + 1 end
    end
    return count
  end

  local function calls(kind)
    return (g:metric("weir_breaker_calls_total", 'name="broken"', ('kind="%s"'):format(kind)))
  end

  local function same_breaker(before, failed)
    local after = g:breaker "broken"
    assert.equal("open", after.state)
    local passed = after.since_s - before.since_s
    assert.is_true(passed >= 0)
    assert.is_true(math.abs(before.retry_after_s - after.retry_after_s - passed) < 0.01)
    assert.equal(failed, calls "failed")
  end

  -- gateways.md §7, 1.
  it("leaves an open breaker open for its time, and its counters as they are", function()
    ask("/well", 2)
    ask("/broken", 3)
    local before, failed = g:breaker "broken", calls "failed"
    assert.equal("open", before.state)
    assert.equal(3, failed)
    local ok = calls "successful"
    reload { breaker = "consecutive = 9, failure_rate = 0.9, open = '60s', jitter = 0",
      more = 'weir.route("GET /unrelated", yes)' }
    same_breaker(before, failed)
    assert.equal(ok, calls "successful")
    assert.equal(200, g:get "/unrelated".status)
    assert.equal(503, g:get "/well".status)
    reload { breaker = "consecutive = 1, open = '1s', jitter = 0, window_calls = 50" }
    same_breaker(before, failed)
    reload()
    same_breaker(before, failed)
  end)

  it("counts what a changed breaker has seen by its new thresholds", function()
    reload { more = [[route("fresh", weir.policy("fresh", { weir.breaker { min_calls = 100,
      open = "60s" } }), no)]] }
    ask("/fresh", 10)
    assert.equal("closed", g:breaker "fresh".state)
    reload { more = [[route("fresh", weir.policy("fresh", { weir.breaker { min_calls = 10,
      open = "60s", window = "60s" } }), no)]] }
    assert.equal("open", g:breaker "fresh".state)
  end)

  it("lowers a limit without forgetting what was spent of the old one", function()
    for _, path in ipairs { "/window", "/gcra" } do assert.equal(60, ask(path, 60)) end
    assert.equal(60, ask("/keyed", 60, 200, { ["X-Key"] = "tenant" }))
    assert.equal(10, ask("/keyed", 10, 200, { ["X-Key"] = "other" }))
    reload { rate = "50/h", burst = 50 }
    for _, path in ipairs { "/window", "/gcra" } do assert.equal(0, ask(path, 5)) end
    assert.equal(0, ask("/keyed", 5, 200, { ["X-Key"] = "tenant" }))
    assert.equal(40, ask("/keyed", 45, 200, { ["X-Key"] = "other" }))
    reload { rate = "100/h", burst = 100, keys = 1000 } -- the table of keys moves
    assert.equal(0, g:limiter("window").waiting)
    assert.equal(40, ask("/window", 45))
    assert.equal(50, ask("/keyed", 55, 200, { ["X-Key"] = "other" }))
    assert.is_true(ask("/keyed", 45, 200, { ["X-Key"] = "tenant" }) <= 40)
  end)

  -- gateways.md §7, 9: in any second that client and gateway agree on, whatever lies in it.
  it("admits no more in a second than the larger of the two limits it had in it", function()
    local admitted = {}
    local function run(times)
      for _ = 1, times do
        local from = wait.now()
        if g:get "/second".status == 200 then
          admitted[#admitted + 1] = { from = from, to = wait.now() }
        end
      end
    end
    local changes = { { per_second = 50 }, { per_second = 100 }, { per_second = 50 } }
    for _, change in ipairs(changes) do
      run(120)
      reload(change)
    end
    run(120)
    local first = 1
    for last = 1, #admitted do
      while admitted[last].to - admitted[first].from >= 1 do first = first + 1 end
      assert.is_true(last - first + 1 <= 100)
    end
    assert.is_true(#admitted > 50)
  end)

  it("keeps what a throttle and a hedge have learnt, and applies what is asked of it", function()
    ask("/throttled", 40)
    local refuses = entry("throttles", "throttled").refuses
    assert.is_true(refuses > 0.5, tostring(refuses))
    ask("/hedged", 20)
    local delay = entry("hedges", "hedged").delay_s
    assert.are_not.equal(json.null, delay)
    reload { throttle = "min_calls = 10, window = '20m', max_refused = 0.3",
      hedge = "percentile = 0.9, window = '20m', min_calls = 10" }
    assert.equal(0.3, entry("throttles", "throttled").refuses)
    assert.equal(20, entry("hedges", "hedged").calls)
    assert.equal(delay, entry("hedges", "hedged").delay_s)
    reload { hedge = "percentile = 0.9, window = '20m', min_calls = 100" }
    assert.equal(json.null, entry("hedges", "hedged").delay_s)
    reload()
    assert.equal(refuses, entry("throttles", "throttled").refuses)
    assert.equal(delay, entry("hedges", "hedged").delay_s)
  end)

  it("keeps the limit that a shedder has learnt, inside new bounds, also by another rule",
    function()
      assert.equal(30, entry("shedders", "shed").limit)
      reload { shedder = "rule = 'aimd', initial = 50" }
      assert.equal(30, entry("shedders", "shed").limit)
      reload { shedder = "rule = 'aimd', initial = 10, max = 12" }
      assert.equal(12, entry("shedders", "shed").limit)
      reload { shedder = "rule = 'gradient2', initial = 50" }
      assert.equal(12, entry("shedders", "shed").limit)
    end)

  it("lets an experiment that is armed run to its end, by its new options", function()
    assert.equal(200, g:get "/drilled".status)
    assert.is_true(json.decode(g:request("POST", "/drill").body).armed)
    assert.equal(5, ask("/drilled", 5, 418))
    local before, at = entry("chaos", "drill"), wait.now()
    reload { chaos = "probability = 0, expires = '10m'" }
    local after = entry("chaos", "drill")
    assert.is_true(after.armed)
    assert.is_true(after.left_s <= before.left_s and after.left_s >= before.left_s - (wait.now()
      - at) - 0.01)
    assert.equal(5, after.injected)
    assert.equal(5, ask("/drilled", 5))
    reload { chaos = "probability = 1, expires = '1s'", armed = "1s" }
    wait.for_("it to expire, a second after it was applied at the latest", function()
      return not entry("chaos", "drill").armed
    end)
  end)

  local function ejected()
    local out = {}
    for _, e in ipairs(entry("upstreams", "up").endpoints) do
      if e.ejected then out[#out + 1] = e.url end
    end
    table.sort(out)
    return table.concat(out, " ")
  end

  it("keeps who is ejected, while endpoints and rules change around them", function()
    m:set("c", { status = 503 })
    wait.for_("c to be ejected", function()
      ask("/up", 3)
      return ejected() == m:url "c"
    end)
    reload { outlier = "consecutive = 5, base = '1s', max = '1s'" }
    assert.equal(m:url "c", ejected())
    m:set("c", {})
    reload { endpoints = ("{ %q, %q, max_endpoints = 2 }"):format(m:url "a", m:url "c")
      :gsub(", max_endpoints = 2 }", " }, max_endpoints = 2") }
    assert.equal(m:url "c", ejected())
    assert.equal(2, entry("upstreams", "up").count)
    reload()
    assert.equal(m:url "c", ejected())
    reload { outlier = "consecutive = 0, failure_rate = 0" }
    assert.equal("", ejected())
    reload()
  end)

  it("finds all of it again when the names come back", function()
    local left = g:limiter "window".left
    assert.is_true(json.decode(g:request("POST", "/drill").body).armed)
    local seen = { throttle = entry("throttles", "throttled"), hedge = entry("hedges", "hedged"),
      shedder = entry("shedders", "shed") }
    assert.equal("live", g:reload({ [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
    ]] }).result)
    g:workers_live()
    reload { shedder = "rule = 'gradient2', initial = 50" }
    assert.equal("open", g:breaker "broken".state)
    assert.equal(left, g:limiter "window".left)
    assert.equal(seen.throttle.refuses, entry("throttles", "throttled").refuses)
    assert.equal(seen.hedge.delay_s, entry("hedges", "hedged").delay_s)
    assert.equal(seen.shedder.limit, entry("shedders", "shed").limit)
    assert.is_true(entry("chaos", "drill").armed)
  end)
end)
