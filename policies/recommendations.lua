--- Recommendations: personal -> cached -> popular.
---
--- Protects against  a recommendation service that is slow, failing, hanging or gone, and protects
---                   that service from us.
--- The client sees   200, soon. `X-Degraded: cached`: this user's list of before;
---                   `X-Degraded: popular`: what everybody likes.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "recommendations", version = "1.0.0" }

M.schema = target.schema("recommendations", {
  popular = schema.func { required = true, doc = "function(req): the list when nothing else is." },
  user = schema.func { doc = "function(req): whose list it is; by default the path." },
  deadline = schema.duration { min = "1ms", default = "500ms", doc = "Until a list is given up." },
  timeout = schema.duration { min = "1ms", default = "180ms", doc = "Of each attempt." },
  max = schema.integer { min = 1, default = 64, doc = "Calls at once." },
  stale = schema.duration { default = "1h", doc = "So long a user's list is kept." },
})

local function layers(o)
  return {
    weir.deadline(o.deadline / 1e9),
    weir.retry { max = 1, backoff = "10ms..50ms" },
    weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, consecutive = 20,
      open = "2s", open_max = "30s", attempt_timeout = o.timeout / 1e9 },
    weir.bulkhead { max = o.max, queue = 32, wait = "50ms" },
    weir.timeout(o.timeout / 1e9),
  }
end

--- A handler that always has a list.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local user_of = o.user or function(req) return req.target end
  local kept = weir.cache(o.name, { ttl = "1s", stale = o.stale / 1e9 })
  local guarded = weir.policy(o.name, layers(o))

  local function personal(req)
    local res, err = guarded(function() return call(req) end)
    if res and res.status == 200 then return kept:set(user_of(req), res) end
    return res, err
  end

  return function(req)
    return weir.ladder {
      name = o.name,
      { "personal", function() return personal(req) end },
      { "cached", function() return (kept:stale(user_of(req))) end },
      { "popular", function() return o.popular(req) end },
    }
  end
end

return M
