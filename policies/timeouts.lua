--- Timeouts by kind of dependency: no call waits longer than its kind deserves.
---
--- Protects against  a dependency that hangs: every thread of work that waits for it would be held.
--- The client sees   504 when the time is over; from an external service that keeps failing 503 at
---                   once, for a breaker stands before it.
---
---     database 5 s · internal 3 s · external 10 s, with a breaker · health 1 s
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "timeouts", version = "1.0.0" }

M.schema = target.schema("timeouts", {
  kind = schema.enum { "database", "internal", "external", "health", required = true,
    doc = "What is called." },
  limit = schema.duration { min = "1ms", max = "1h", doc = "Instead of the limit of the kind." },
})

local LIMITS = { database = "5s", internal = "3s", external = "10s", health = "1s" }

-- What others run fails in ways we cannot mend: ask less while it does.
local function layers(kind, limit)
  if kind ~= "external" then return { weir.timeout(limit) } end
  return {
    weir.breaker { failure_rate = 0.5, window = "30s", min_calls = 10, open = "10s" },
    weir.timeout(limit),
  }
end

--- A handler that calls with the time limit of its kind.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local limit = o.limit and o.limit / 1e9 or LIMITS[o.kind]
  local guarded = weir.policy(o.name, layers(o.kind, limit))
  return function(req) return guarded(function() return call(req) end) end
end

return M
