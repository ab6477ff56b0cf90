--- Search: full -> simple -> recent.
---
--- Protects against  the search engine, the most complicated service of the shop, being slow or
---                   gone. The catalogue's own name lookup steps in, behind a guard of its own: the
---                   one must not fail because the other does, nor be run over when it has to take
---                   all the load.
--- The client sees   200. `X-Degraded: simple`: matching names only, no suggestions, no facets;
---                   `X-Degraded: recent`: what searches found last, whatever was asked for.
local weir = require "weir"
local engine = require "depend" "search"
local catalogue = require "catalogue"

local found = weir.cache("search", { ttl = "10m", stale = "24h" })

local guarded = weir.policy("search", {
  weir.deadline "750ms",
  weir.retry { max = 1, backoff = "10ms..50ms" },
  weir.breaker { failure_rate = 0.5, window = "5s", min_calls = 10, open = "2s", open_max = "10s" },
  weir.bulkhead { max = 16, queue = 16, wait = "50ms" },
  weir.timeout "300ms",
})

-- Kept for the last rung: one list for all, written by whoever searched last.
local function remember(res)
  local result = res and res.status == 200 and res:json()
  if result and #result.items > 0 then found:set("recent", result.items) end
end

local function full(query)
  local res, err = guarded(function() return engine:get("/full?q=" .. weir.escape(query)) end)
  remember(res)
  return res, err
end

local function simple(query)
  local res, err = catalogue.named(query)
  if not res or res.status ~= 200 then return res, err end
  local result, wrong = res:json()
  if not result then return nil, wrong end
  return weir.json(200, { query = query, items = weir.json.array(result.items) })
end

local function recent(query)
  return weir.json(200, { query = query, items = weir.json.array(found:stale "recent" or {}) })
end

weir.route("GET /search", function(req)
  local query = req.query.q or ""
  if query == "" then return weir.json(400, { error = "what for? /search?q=…" }) end
  return weir.ladder {
    name = "search",
    { "full", function() return full(query) end },
    { "simple", function() return simple(query) end, deadline = "300ms", max = 16 },
    { "recent", function() return recent(query) end },
  }
end)

weir.selftest("search goes from full to simple to recent", function(t)
  local is_down = {}
  local function answers(name, items)
    t:upstream(name, function()
      if is_down[name] then return nil, "connect" end
      return { headers = { ["Content-Type"] = "application/json" }, body = items }
    end)
  end
  answers("search", '{"query":"lamp","items":[{"name":"lamp"}]}')
  answers("products", '{"items":[{"name":"desk lamp"}]}')
  local function rung()
    local res = t:request "/search?q=lamp"
    t:equal(200, res.status)
    return res.headers["X-Degraded"]
  end
  t:equal(nil, rung())
  is_down.search = true
  t:equal("simple", rung())
  is_down.products = true
  t:equal("recent", rung())
  is_down = {}
  t:advance "10s" -- the breaker probes
  t:equal(nil, rung())
end)
