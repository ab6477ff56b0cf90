-- Hedged calls: when there is a second attempt, which one answers, what becomes of the other, and
-- what it costs. An origin that hangs makes the first attempt slow for ever: no margins are needed.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local OK = origin.answer("200 OK", "fine")
local BAD = origin.answer("503 Service Unavailable", "bad")

-- The work of a request is in its headers: what the first attempt's endpoint does, and the other's.
local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local first = "http://127.0.0.1:$(first)"
  local second = "http://127.0.0.1:$(second)"
  local both = weir.upstream("both", { endpoints = { first, second } })
  local one = weir.upstream("one", { endpoints = { first } })
  local other = weir.upstream("other", { endpoints = { second } })
  local plenty = { min = 100000 }

  -- Attempts in order: the first to `one`, the next to `other`.
  local function in_turn(req)
    local count = 0
    return function()
      count = count + 1
      local up = count == 1 and one or other
      return up:forward(req, { path = req.headers[count == 1 and "X-First" or "X-Second"] })
    end
  end

  local function route(name, layers)
    local guarded = weir.policy(name, layers)
    weir.route("/" .. name, function(req) return guarded(in_turn(req)) end)
  end

  route("fixed", { weir.hedge { delay = "1ms", budget = plenty }, weir.breaker {},
    weir.bulkhead { max = 100 } })
  route("late", { weir.hedge { delay = "1h", budget = plenty }, weir.breaker {} })
  route("poor", { weir.hedge { delay = "1ms", budget = { ratio = 0, min = 1, span = "10m" } } })
  route("bounded", { weir.hedge { delay = "1h", max_extra_load = 0.2, window = "1h",
    budget = false } })
  route("learning", { weir.hedge { percentile = 0.5, min_calls = 5, window = "1h",
    budget = plenty } })
  route("timed", { weir.hedge { delay = "1ms", budget = plenty }, weir.timeout "50ms" })
  route("shared", { weir.retry { max = 1, backoff = "1ms", budget = { ratio = 0, min = 1,
    span = "10m" } }, weir.hedge { delay = "1h" } })
  route("deadline", { weir.deadline "100ms", weir.hedge { delay = "1ms", budget = plenty },
    weir.breaker {} })

  local spread = weir.policy("spread", { weir.hedge { delay = "1ms", budget = plenty } })
  weir.route("/spread", function(req)
    return spread(function() return both:forward(req, { path = "/run?hang" }) end)
  end)
  weir.route("/spread-get", function()
    return spread(function() return both:get "/run?hang" end)
  end)

  local many = weir.policy("many", { weir.hedge { delay = "1ms", max = 3, budget = plenty },
    weir.bulkhead { max = 100 } })
  weir.route("/many", function(req)
    return many(function() return other:forward(req, { path = "/run?hang" }) end)
  end)

  local random = weir.policy("random", { weir.deadline "300ms",
    weir.hedge { delay = "2ms", max = 2, budget = plenty }, weir.breaker { failure_rate = 0 },
    weir.bulkhead { max = 1000 } })
  weir.route("/random", function(req) return random(in_turn(req)) end)

  local raising = weir.policy("raising", { weir.hedge { delay = "1h", budget = plenty } })
  weir.route("/raising", { on_error = function() return weir.response(418, "caught") end },
    function() return raising(function() error "in the call" end) end)
  local plain = weir.policy("plain", { weir.hedge { delay = "1h", budget = plenty } })
  weir.route("/plain", function()
    local value, err = plain(function() return "a value" end)
    return value, err
  end)

  -- Both attempts of /mixed begin with a GET, and then post.
  local mixed = weir.policy("mixed", { weir.hedge { delay = "1ms", budget = plenty } })
  weir.route("/mixed", function(req)
    local count = 0
    return mixed(function()
      count = count + 1
      local me = count
      if me == 1 then weir.sleep "100ms" end
      local res, err = other:request { method = "POST", path = "/ok", body = "x" }
      if not res then return nil, err end
      return weir.response(200, "posted by " .. me)
    end)
  end)
]]

describe("a hedge", function()
  local g, first, second

  setup(function()
    first, second = origin.start(), origin.start()
    g = gateway.start { workers = 2, first = first.port, second = second.port, SCRIPT }
    g:expect "script.error"
  end)
  teardown(function()
    g:stop()
    first:kill()
    second:kill()
  end)

  local function ask(name, one, two, method, headers, body)
    local all = { ["X-First"] = origin.target(one), ["X-Second"] = origin.target(two or { OK }) }
    for key, value in pairs(headers or {}) do all[key] = value end
    return g:request(method or "GET", "/" .. name, all, body)
  end

  local function calls(name, kind)
    return (g:metric("weir_hedge_calls_total", ('name="%s"'):format(name),
      ('kind="%s"'):format(kind)))
  end

  local function breaker_calls(name, kind)
    return (g:metric("weir_breaker_calls_total", ('name="%s"'):format(name),
      ('kind="%s"'):format(kind)))
  end

  it("leaves a quick call alone", function()
    assert.equal("fine", ask("late", { OK }).body)
    assert.equal(1, calls("late", "primary"))
    assert.equal(0, calls("late", "started_slow"))
  end)

  it("answers with the second attempt when the first is slow, and really cancels that", function()
    local before = breaker_calls("fixed", "cancelled")
    for _ = 1, 5 do assert.equal("fine", ask("fixed", { "hang" }, { OK }).body) end
    wait.for_("the first attempts to be gone", function()
      return first:counts().hanging == 0
    end)
    g:wait_idle()
    assert.equal(5, calls("fixed", "hedge"))
    assert.equal(5, calls("fixed", "started_slow"))
    assert.equal(5, breaker_calls("fixed", "cancelled") - before)
    assert.equal(0, breaker_calls("fixed", "failed"))
    local line = g:wait_log("access", { route = "/fixed" })
    assert.equal("ok_hedge", line.why)
    assert.equal(1, line.hedges)
    assert.equal(2, line.attempts)
  end)

  it("answers with the first when that is acceptable sooner, and cancels the second", function()
    local before = calls("fixed", "primary")
    local r = ask("fixed", { "wait:100", OK }, { "hang" })
    assert.equal("fine", r.body)
    wait.for_("the second attempt to be gone", function()
      return second:counts().hanging == 0
    end)
    assert.equal(before + 1, calls("fixed", "primary"))
    g:wait_idle()
  end)

  it("does not wait for the delay when the first attempt fails", function()
    for _, failing in ipairs { { "close" }, { BAD }, { "reset" } } do
      assert.equal("fine", ask("late", failing, { OK }).body)
    end
    assert.equal(3, calls("late", "started_failed"))
    assert.equal(3, breaker_calls("late", "failed"))
  end)

  it("does not let an unacceptable answer win", function()
    local r = ask("fixed", { "wait:100", OK }, { BAD })
    assert.equal(200, r.status)
    assert.equal("fine", r.body)
  end)

  it("returns what the first attempt returned when all fail", function()
    local r = ask("late", { origin.answer("503 Service Unavailable", "the first") },
      { origin.answer("502 Bad Gateway", "the second") })
    assert.equal(503, r.status)
    assert.equal("the first", r.body)
    r = ask("late", { "close" }, { origin.answer("503 Service Unavailable", "the second") })
    assert.equal(502, r.status)
    assert.matches("reset", g:wait_log("access", { status = 502 }).error)
    assert.equal(2, calls("late", "failed"))
    g:wait_idle()
  end)

  it("streams the winner's body on after its attempt has ended, slot and all", function()
    -- More than all buffers on the way hold.
    local head = "send:HTTP/1.1 200 OK\r\nContent-Length: 40000008\r\n\r\nhalf"
    local client = g:connect { receive_buffer = 4096 }
    client:send(gateway.head("GET", "/fixed", { ["X-First"] = origin.target { "hang" },
      ["X-Second"] = origin.target { head, "zeros:40000000", "send:half" } }))
    assert.equal(200, client:head().status)
    assert.equal("half", client:read(4))
    assert.equal(1, g:bulkhead("fixed").in_use)
    assert.equal(40000000, (client:skip(40000000)))
    assert.equal("half", client:read(4))
    client:close()
    g:wait_idle()
  end)

  it("asks another endpoint than the first attempt did", function()
    for _, path in ipairs { "/spread", "/spread-get" } do
      for _ = 1, 3 do
        local client = g:begin("GET", path)
        wait.for_("one attempt at each", function()
          return first:counts().hanging == 1 and second:counts().hanging == 1
        end)
        client:close()
        wait.for_("both to be gone", function()
          return first:counts().hanging == 0 and second:counts().hanging == 0
        end)
      end
    end
    assert.equal(6, calls("spread", "cancelled"))
  end)

  it("has at most one attempt and max hedges in flight", function()
    local client = g:begin("GET", "/many")
    wait.for_("all attempts", function() return second:counts().hanging == 4 end)
    assert.equal(3, calls("many", "started_slow"))
    client:close()
    wait.for_("all to be gone", function() return second:counts().hanging == 0 end)
    assert.equal(0, calls("many", "denied"))
    g:wait_idle()
  end)

  it("never repeats what may do harm twice", function()
    local posts = second:counts().methods.POST or 0
    local client = g:begin("POST", "/fixed", { ["X-First"] = origin.target { "hang" },
      ["X-Second"] = origin.target { OK } }, "body")
    wait.for_("the decision", function() return calls("fixed", "unsafe") == 1 end)
    client:close()
    assert.equal(posts, second:counts().methods.POST or 0)
    assert.equal(502, ask("fixed", { "close" }, { OK }, "POST", nil, "body").status)
    assert.equal(posts, second:counts().methods.POST or 0)
  end)

  it("repeats a POST with an Idempotency-Key, body and all", function()
    local r = ask("fixed", { "hang" }, { OK }, "POST", { ["Idempotency-Key"] = "1" }, "body")
    assert.equal("fine", r.body)
  end)

  it("lets no hedge send what the first attempt had not yet sent", function()
    local before = second:counts().methods.POST or 0
    assert.equal("posted by 1", g:get("/mixed").body)
    assert.equal(before + 1, second:counts().methods.POST)
  end)

  it("goes on unhedged when the budget is spent", function()
    assert.equal("fine", ask("poor", { "hang" }, { OK }).body)
    local client = g:begin("GET", "/poor", { ["X-First"] = origin.target { "hang" },
      ["X-Second"] = origin.target { OK } })
    wait.for_("the decision", function() return calls("poor", "denied_budget") == 1 end)
    assert.equal(1, first:counts().hanging)
    client:close()
    assert.equal(1, calls("poor", "started_slow"))
  end)

  it("spends from the budget of the policy's retries", function()
    assert.equal("fine", ask("shared", { BAD }, { OK }).body)
    assert.equal(503, ask("shared", { BAD }, { OK }).status)
    assert.equal(1, calls("shared", "denied_budget"))
    assert.equal(1, (g:metric("weir_retry_attempts_total", 'name="shared"',
      'reason="budget_exhausted"')))
  end)

  it("keeps its extra load below the bound, whatever happens", function()
    for _ = 1, 30 do ask("bounded", { BAD }, { OK }) end
    assert.equal(30, calls("bounded", "calls"))
    assert.equal(6, calls("bounded", "started_failed"))
    assert.equal(24, calls("bounded", "denied"))
    assert.equal(0.2, (g:metric("weir_hedge_extra_load_ratio", 'name="bounded"')))
  end)

  it("learns its delay, and has none before enough calls", function()
    assert.equal(0, (g:metric("weir_hedge_delay_seconds", 'name="learning"')))
    for _ = 1, 5 do ask("learning", { OK }) end
    assert.is_true((g:metric("weir_hedge_delay_seconds", 'name="learning"')) > 0)
    assert.equal("fine", ask("learning", { "hang" }, { OK }).body)
    assert.equal(1, calls("learning", "hedge"))
  end)

  it("leaves attempts to their own time limit, and the call to its deadline", function()
    assert.equal(504, ask("timed", { "hang" }, { "hang" }).status)
    local cancelled = breaker_calls("deadline", "cancelled")
    assert.equal(504, ask("deadline", { "hang" }, { "hang" }).status)
    assert.equal(2, breaker_calls("deadline", "ignored"))
    assert.equal(cancelled, breaker_calls("deadline", "cancelled"))
    g:wait_idle()
  end)

  it("passes on what a call raises, and values that are no responses", function()
    assert.equal(418, g:get("/raising").status)
    assert.matches("in the call", g:wait_log("script.error", { route = "/raising" }).message)
    assert.equal("a value", g:get("/plain").body)
  end)

  it("keeps its books whatever attempts and clients do", function()
    local seed = os.time()
    math.randomseed(seed)
    local ends = { { OK }, { BAD }, { "close" }, { "reset" }, { "hang" }, { "wait:5", OK },
      { "wait:5", BAD }, { "send:HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "hang" },
      { "send:HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "close" } }
    local clients = {}
    for i = 1, 300 do
      clients[i] = g:begin(math.random(4) == 1 and "POST" or "GET", "/random", {
        ["X-First"] = origin.target(ends[math.random(#ends)]),
        ["X-Second"] = origin.target(ends[math.random(#ends)]) })
      if math.random(5) == 1 then clients[i]:close() end
      if i % 30 == 0 then
        wait.for_("some to end, seed " .. seed, function()
          return g:bulkhead("random").in_use < 60
        end)
      end
    end
    for _, client in ipairs(clients) do client:close() end
    g:wait_idle()
    wait.for_("all attempts to be gone", function()
      return first:counts().hanging == 0 and second:counts().hanging == 0
    end)
    local begun = calls("random", "calls")
    assert.is_true(begun > 200, "seed " .. seed)
    assert.equal(begun, calls("random", "primary") + calls("random", "hedge")
      + calls("random", "failed") + calls("random", "cancelled"))
    local started = calls("random", "started_slow") + calls("random", "started_failed")
    assert.is_true(started >= calls("random", "hedge") and started <= 2 * begun)
    assert.is_true(calls("random", "unsafe") > 0, "seed " .. seed)
  end)

  it("is shown to operators", function()
    local list = json.decode(g:ask("GET", "/hedges").body)
    local found
    for _, h in ipairs(list) do if h.name == "bounded" then found = h end end
    assert.equal(30, found.calls)
    assert.equal(6, found.hedges)
    assert.equal(24, found.denied)
  end)

  it("says what is wrong with its options", function()
    for options, message in pairs {
      ['{ delay = "1ms", percentile = 0.9 }'] = "give delay or percentile, not both",
      ["{ dealy = 1 }"] = "unknown option 'dealy' %(did you mean 'delay'%?%)",
      ["{ percentile = 2 }"] = "percentile",
      ["{ max = 0 }"] = "max",
    } do
      local code, err = gateway.fail_to_start { workers = 1, ([[
        local weir = require "weir"
        weir.policy("x", { weir.hedge %s })
      ]]):format(options) }
      assert.equal(78, code)
      assert.matches("main.lua:2", err)
      assert.matches(message, err)
    end
  end)
end)
