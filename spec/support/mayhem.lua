--- A bundle with every primitive in many combinations, in front of an origin that misbehaves and a
--- server that is killed, and the ways of changing it while it serves.
---
---     local text = mayhem.bundle(dice)       -- for gateway.start and reload; needs $(origin),
---     $(upstream)
---     local text = mayhem.broken(dice)       -- does not load
---     mayhem.act(g, dice)                    -- one action of an operator
---     mayhem.held(g:status())                -- what is held: nil, or what and how much
local mayhem = {}

local BUNDLE = [[
  local weir = require "weir"
  weir.listen("127.0.0.1:$(port)", { trusted_proxies = { "127.0.0.0/8" },
    priority_header = "X-Priority" })
  local odd = weir.upstream("odd", { first_byte = "400ms", between_bytes = "300ms",
    connect = "200ms",
    endpoints = { "http://127.0.0.1:$(origin)", "http://localhost:$(origin)" }, pool = {
      max = %POOL } })
  local dying = weir.upstream("dying", { endpoints = { "http://127.0.0.1:$(upstream)" },
    health = { interval = "100ms", timeout = "200ms" } })

  -- What the origin is told to do.
  local STEPS = {
    "send:HTTP/1.1 200 OK%0D%0ACache-Control: max-age=1%0D%0AContent-Length: 2%0D%0A%0D%0Aok",
    "send:HTTP/1.1 200 OK%0D%0ACache-Control: max-age=1, stale-while-revalidate=1%0D%0A"
      .. "Vary: X-Tenant%0D%0AContent-Length: 70000%0D%0A%0D%0A;zeros:70000",
    "send:HTTP/1.1 200 OK%0D%0ACache-Control: max-age=1%0D%0AContent-Length: 200000%0D%0A"
      .. "%0D%0A;zeros:90000;close",
    "send:HTTP/1.1 200 OK%0D%0AContent-Length: 9%0D%0A%0D%0A;slow:20:123456789",
    "send:HTTP/1.1 200 OK%0D%0ATransfer-Encoding: chunked%0D%0A%0D%0A5%0D%0Ahello%0D%0A"
      .. ";wait:30;send:zz%0D%0A",
    "send:HTTP/1.1 500 No%0D%0AContent-Length: 0%0D%0A%0D%0A",
    "send:HTTP/1.1 503 No%0D%0ARetry-After: 1%0D%0AContent-Length: 0%0D%0A%0D%0A",
    "send:HTTP/1.1 429 No%0D%0ARetry-After: 1%0D%0AContent-Length: 0%0D%0A%0D%0A",
    "send:HTTP/1.1 404 No%0D%0AContent-Length: 0%0D%0A%0D%0A",
    "send:HTTP/1.1 200 OK%0D%0AContent-Length: 5%0D%0A%0D%0A12;hang", "hang", "reset", "close",
    "wait:50;send:nonsense%0D%0A%0D%0A",
    "send:HTTP/1.1 200 OK%0D%0AContent-Length: 3%0D%0A%0D%0A"
      .. "yes", "wait:40;send:HTTP/1.1 200 OK%0D%0AContent-Length: 1%0D%0A%0D%0Ay",
  }
  for i, steps in ipairs(STEPS) do STEPS[i] = steps:gsub(" ", "%%20") end
  local function ask(req)
    if math.random() < 0.3 then return dying:forward(req, { path = "/" }) end
    local n = tonumber(req.query.n) or math.random(#STEPS)
    return odd:forward(req, { path = "/run?" .. STEPS[(n - 1) % #STEPS + 1] })
  end

  weir.health("origin", { tcp = "127.0.0.1:$(origin)", interval = "50ms", timeout = "200ms" })
  weir.health("upstream", { http = "http://127.0.0.1:$(upstream)/", interval = "50ms",
    critical = false, fall = 1, rise = 1 })
  weir.health("lua", { interval = "100ms", critical = false, timeout = "200ms", check = function()
    if math.random() < 0.3 then error "a check that raises" end
    local res, err = odd:get("/run?" .. STEPS[1])
    return res and math.random() < 0.7, err
  end })
  local flag = weir.flag("new", { percent = %PERCENT, key = "header:X-Tenant",
    health = "upstream" })
  weir.overload { lag = "200ms", in_flight = %INFLIGHT }

  local drill = weir.chaos { name = "drill", expires = "5s", probability = 0.3, %CHAOS,
    guard = %GUARD }
  local pool = weir.bulkhead { name = "pool", max = %MAX, queue = %QUEUE, wait = "60ms",
    order = "%ORDER" %BULKKEY }
  local tenants = weir.limiter { name = "tenants", rate = "%RATE/s", wait = "%LWAIT",
    headers = true,
    algorithm = "%ALGORITHM", cost = function(req) return req.query.n == "3" and 2 or 1 end,
      mode = "%MODE" %LIMKEY }
  local all = weir.policy("all", {
    weir.shedder { limit = %LIMIT, queue = %SQUEUE, wait = "50ms", in_flight = 5000 },
    weir.deadline "1s",
    weir.retry { max = 2, backoff = "1ms..20ms", budget = { ratio = 0.5, min = 50 } },
    weir.hedge { %HEDGE },
    weir.breaker { min_calls = 200, failure_rate = 0.95, open = "100ms", open_max = "300ms",
      window = "%WINDOW" },
    weir.throttle { window = "1s", ratio = 5, max_refused = 0.5 },
    tenants, pool,
    weir.timeout "300ms",
    drill,
  })
  local healthy = weir.policy("healthy", {
    weir.deadline "600ms", weir.breaker { health = "upstream", open = "50ms" },
    weir.bulkhead { max = 8, queue = 8, wait = "20ms", key = "client" }, weir.timeout "300ms",
  })
  local inner = weir.policy("inner", { weir.limiter { rate = "500/s", wait = "50ms" }, pool,
    weir.timeout "200ms" })
  local nested = weir.policy("nested", { weir.deadline "800ms", weir.shedder(32), weir.hedge {
    delay = "5ms", max = 2, max_extra_load = 1 }, inner })

  weir.route("GET,POST /all", { priority = "low" }, function(req)
    return all(function() return ask(req) end)
  end)
  weir.route("GET /nested", function(req) return nested(function() return ask(req) end) end)
  weir.route("GET /healthy", { priority = "background" }, function(req)
    return healthy(function() return dying:forward(req, { path = "/" }) end)
  end)
  local cache = weir.cache("fetched", { ttl = "%TTL", stale = "50ms", stale_error = "100ms",
    negative = "20ms", waiters = %WAITERS })
  weir.route("GET /fetch", function(req)
    return cache:fetch(tostring(req.query.n), function()
      return nested(function() return odd:get("/run?" .. STEPS[math.random(#STEPS)]) end)
    end, { tags = { "t" .. (req.query.n or "") } })
  end)
  local pages = weir.http_cache("pages", { stale_while_revalidate = "50ms",
    stale_if_error = "100ms", waiters = %WAITERS })
  weir.route("GET,POST /pages", function(req)
    return pages:serve(req, function() return all(function() return ask(req) end) end)
  end)
  weir.route("GET /ladder", function(req)
    return weir.ladder {
      { "fresh", function() return all(function() return ask(req) end) end, deadline = "300ms" },
      { "nested", function() return nested(function() return ask(req) end) end,
        deadline = "200ms", max = 8 },
      { "stale", function() return cache:stale "1" end },
      { "static", function() return weir.json(200, { on = flag:on() }) end },
    }
  end)
  weir.route("GET /both", function(req)
    local both, err = weir.all {
      a = function() return tenants:wait "100ms" end,
      b = function() return all(function() return odd:get("/run?" .. STEPS[1]) end) end,
      c = function() return weir.race {
        function() return nested(function()
          return odd:get("/run?" .. STEPS[math.random(#STEPS)]) end) end,
        function() weir.sleep "20ms" return nil, weir.error("timeout", "slow") end } end,
    }
    if not both then return nil, err end
    weir.spawn(function() return inner(function() return odd:get("/run?" .. STEPS[1]) end) end)
    return "both\n"
  end)
  weir.route("GET /raise", function(req)
    return all(function() pcall(function() return nested(function()
      weir.sleep "5ms" error "inside" end) end) error "outside" end)
  end)
  weir.route("GET /ok", { exempt = true, priority = "critical" }, function() return "ok\n" end)
  weir.every("50ms", function() tenants:try("ticker") flag:on("x") pcall(drill.applied, drill) end)
]]

local function pick(dice, list) return list[dice(#list)] end

--- A bundle with options by the dice.
function mayhem.bundle(dice)
  local o = {
    POOL = pick(dice, { 8, 64 }), PERCENT = dice(0, 100), INFLIGHT = pick(dice, { 20, 5000, 5000,
      5000 }),
    CHAOS = pick(dice, { 'latency = "20ms", variance = "20ms"', 'error = "reset"', "status = 503",
      'drip = "4KiB"', "hangup = true", 'truncate = "1KiB"', "reset = true" }),
    GUARD = pick(dice, { "false", "{ failure_rate = 0.6, window = \"1s\", min_calls = 10 }" }),
    MAX = dice(1, 24), QUEUE = dice(0, 40), ORDER = pick(dice, { "fifo", "adaptive" }),
    BULKKEY = pick(dice, { "", ', key = "header:X-Tenant"',
      ', key = "header:X-Tenant", max_keys = 4' }),
    RATE = dice(20, 2000), LWAIT = pick(dice, { "0s", "20ms", "200ms" }),
    ALGORITHM = pick(dice, { "gcra", "sliding_window" }),
    MODE = pick(dice, { "normal", "normal", "shadow" }),
    LIMKEY = pick(dice, { "", ', key = "header:X-Tenant"',
      ', key = "client", max_keys = 16' }),
    LIMIT = pick(dice, { "4", "64", '{ "vegas", max = 64, window = "50ms" }',
      '{ "aimd", initial = 10, max = 40, window = "50ms" }',
      '{ "gradient2", min = 2, max = 40 }' }),
    SQUEUE = dice(0, 30),
    HEDGE = pick(dice, { 'delay = "10ms", max = 3', "percentile = 0.9", "max_extra_load = 0.3" }),
    WINDOW = pick(dice, { "1s", "10s" }), TTL = pick(dice, { "10ms", "500ms" }),
    WAITERS = pick(dice, { 0, 4, 1000 }),
  }
  return (BUNDLE:gsub("%%(%u+)", function(name) return tostring(assert(o[name], name)) end))
end

--- A bundle that does not load.
function mayhem.broken(dice)
  return mayhem.bundle(dice) .. pick(dice, { "local x = = 1", "error 'no'", "require 'nowhere'",
    'weir.limiter { name = "tenants", rate = "0/s" }', "while true do end" })
end

local ACTIONS = {
  "/flags/on?name=new&value=why", "/flags/off?name=new", "/flags/percent?name=new&value=30",
  "/flags/reset?name=new", "/chaos/apply?name=drill&value=2s", "/chaos/apply?name=drill",
  "/chaos/rollback?name=drill", "/caches/purge?name=fetched", "/caches/purge?name=fetched&value=1",
  "/caches/purge_tag?name=fetched&value=t1", "/caches/purge?name=pages", "/breakers/open?name=all",
  "/breakers/close?name=all", "/breakers/auto?name=all", "/breakers/auto?name=all",
  "/flags/on?name=nowhere", "/chaos/apply?name=drill&value=nonsense",
}

--- One action of an operator.
function mayhem.act(g, dice)
  return g:ask("POST", pick(dice, ACTIONS))
end

--- Back to normal: nothing overridden, no experiment.
function mayhem.calm(g)
  g:ask("POST", "/breakers/auto?name=all")
  g:ask("POST", "/chaos/rollback?name=drill")
  g:ask("POST", "/flags/reset?name=new")
end

-- What of a row of /status counts what somebody holds.
local HOLDS = {
  bulkheads = { "in_use", "queued", "keys" }, shedders = { "in_use", "queued" },
  breakers = { "probes" }, limiters = { "waiting" }, caches = { "fetching", "waiting" },
}

--- What is held: nil, or what and how much.
function mayhem.held(status)
  for list, fields in pairs(HOLDS) do
    for _, row in ipairs(status[list]) do
      for _, field in ipairs(fields) do
        if row[field] ~= 0 then return ("%s %s: %d %s"):format(list, row.name, row[field],
          field) end
      end
    end
  end
end

return mayhem
