--- Search: full -> cached -> simple -> nothing found.
---
--- Protects against  the search engine, often the most complicated service of all, being slow or
---                   gone; and protects what steps in for it, which is built for less.
--- The client sees   200. `X-Degraded: cached`: what the same search found before;
---                   `X-Degraded: simple`: what the simpler search finds; `X-Degraded: empty`: a
---                   list of nothing, which a page can show.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "search", version = "1.0.0" }

M.schema = target.schema("search", {
  simple = schema.func { doc = "function(req): a simpler search, by other means." },
  simple_max = schema.integer { min = 1, default = 16, doc = "Of these at once." },
  simple_deadline = schema.duration { min = "1ms", default = "300ms", doc = "Of each of these." },
  deadline = schema.duration { min = "1ms", default = "800ms", doc = "Of the full search." },
  timeout = schema.duration { min = "1ms", default = "300ms", doc = "Of each attempt at it." },
  max = schema.integer { min = 1, default = 32, doc = "Full searches at once." },
  stale = schema.duration { default = "24h", doc = "So long results are kept." },
})

local function layers(o)
  return {
    weir.deadline(o.deadline / 1e9),
    weir.retry { max = 1, backoff = "10ms..50ms" },
    weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, consecutive = 20,
      open = "2s", open_max = "30s", attempt_timeout = o.timeout / 1e9 },
    weir.bulkhead { max = o.max, queue = 16, wait = "50ms" },
    weir.timeout(o.timeout / 1e9),
  }
end

local function empty()
  return weir.json(200, { items = weir.json.array() })
end

--- A handler that always has a result.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local found = weir.cache(o.name, { ttl = "1s", stale = o.stale / 1e9 })
  local guarded = weir.policy(o.name, layers(o))

  local function full(req)
    local res, err = guarded(function() return call(req) end)
    if res and res.status == 200 then return found:set(req.target, res) end
    return res, err
  end

  return function(req)
    local rungs = {
      name = o.name,
      { "full", function() return full(req) end },
      { "cached", function() return (found:stale(req.target)) end },
    }
    if o.simple then
      rungs[3] = { "simple", function() return o.simple(req) end, max = o.simple_max,
        deadline = o.simple_deadline / 1e9 }
    end
    rungs[#rungs + 1] = { "empty", empty }
    return weir.ladder(rungs)
  end
end

return M
