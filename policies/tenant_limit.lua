--- Per-tenant limit: nobody uses up what is there for all.
---
--- Protects against  one tenant (a loop gone wild, a large customer's batch) taking everybody's
---                   share.
--- The client sees   429 with the exact Retry-After for what is above its rate, and on all answers
---                   how much it has left: the fields RateLimit and RateLimit-Policy.
---
--- Who is a tenant says `key`. Requests without one share a rate: an invented header must not be a
--- way around the limit, so let who authenticates them set it.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "tenant_limit", version = "1.0.0" }

M.schema = target.schema("tenant limit", {
  rate = schema.string { min = 3, max = 40, default = "50/s", doc = "Of each tenant." },
  burst = schema.integer { min = 1, doc = "At once after a rest; a second's worth by default." },
  key = schema.either { schema.string { min = 1, max = 200 }, schema.func(),
    default = "header:X-Tenant", doc = "\"header:NAME\", \"client\" or a function(req)." },
  max_keys = schema.integer { min = 1, max = 1048576, default = 10000,
    doc = "Tenants that are remembered at once." },
  wait = schema.duration { min = 0, default = 0, doc = "Longest wait for a request's turn." },
})

--- A handler that gives each tenant its rate.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, {
    weir.limiter { rate = o.rate, burst = o.burst, key = o.key, max_keys = o.max_keys,
      wait = o.wait / 1e9, headers = true },
  })
  return function(req) return guarded(function() return call(req) end) end
end

return M
