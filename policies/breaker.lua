--- Breaker: what keeps failing is left alone until it is better.
---
--- Protects against  waiting for a dependency that is known to be down, and kicking it while it is.
--- The client sees   503 at once, with Retry-After, while the breaker is open. A few probes find
---                   out when it is over, and traffic comes back gradually.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "breaker", version = "1.0.0" }

M.schema = target.schema("breaker", {
  timeout = schema.duration { min = "1ms", default = "2s", doc = "Of each call." },
  slow_call = schema.duration { min = "1ms", default = "1s",
    doc = "A call this long is as bad as a failed one." },
  failure_rate = schema.ratio { default = 0.5, doc = "Opens at this share of failures." },
  consecutive = schema.integer { min = 0, default = 20, doc = "Or after so many in a row." },
  min_calls = schema.integer { min = 1, default = 20, doc = "The share means nothing below." },
  window = schema.duration { min = "1s", default = "10s", doc = "What is looked back on." },
  open = schema.duration { min = "10ms", default = "5s", doc = "First time it stays open." },
  ramp = schema.duration { default = "5s", doc = "Time in which traffic comes back." },
})

--- A handler that is refused while its dependency fails.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, {
    weir.breaker { failure_rate = o.failure_rate, window = o.window / 1e9, min_calls = o.min_calls,
      consecutive = o.consecutive, slow_call = o.slow_call / 1e9, slow_rate = o.failure_rate,
      open = o.open / 1e9, ramp = o.ramp / 1e9, attempt_timeout = o.timeout / 1e9 },
    weir.timeout(o.timeout / 1e9),
  })
  return function(req) return guarded(function() return call(req) end) end
end

return M
