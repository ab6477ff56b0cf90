--- Profile: fresh -> remembered -> guest.
---
--- Protects against  the profile service taking every page with it, for every page asks for it.
--- The client sees   200. `X-Degraded: remembered`: the profile of before, at most `stale` old;
---                   `X-Degraded: guest`: what a stranger would see. 404 stays 404: a user who is
---                   not there is an answer.
---
--- Profiles change seldom, so a fresh one is asked for only every `fresh`.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "profile", version = "1.0.0" }

M.schema = target.schema("profile", {
  guest = schema.func { required = true, doc = "function(req): what a stranger would see." },
  user = schema.func { doc = "function(req): whose profile it is; by default the path." },
  fresh = schema.duration { min = "1ms", default = "10s", doc = "So long nobody is asked again." },
  stale = schema.duration { default = "24h", doc = "So long a profile is remembered." },
  deadline = schema.duration { min = "1ms", default = "500ms", doc = "Of all attempts." },
  timeout = schema.duration { min = "1ms", default = "200ms", doc = "Of each attempt." },
})

local function layers(o)
  return {
    weir.deadline(o.deadline / 1e9),
    weir.retry { max = 1, backoff = "10ms..50ms" },
    weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, consecutive = 20,
      open = "1s", open_max = "30s", attempt_timeout = o.timeout / 1e9 },
    weir.timeout(o.timeout / 1e9),
  }
end

--- A handler that always knows somebody.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local user_of = o.user or function(req) return req.target end
  local known = weir.cache(o.name, { ttl = o.fresh / 1e9, stale = o.stale / 1e9 })
  local guarded = weir.policy(o.name, layers(o))

  local function fresh(req, user)
    local found = known:get(user)
    if found then return found end
    local res, err = guarded(function() return call(req) end)
    if res and res.status == 200 then return known:set(user, res) end
    return res, err
  end

  return function(req)
    local user = user_of(req)
    return weir.ladder {
      name = o.name,
      { "fresh", function() return fresh(req, user) end },
      { "remembered", function() return (known:stale(user)) end },
      { "guest", function() return o.guest(req) end },
    }
  end
end

return M
