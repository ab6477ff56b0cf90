--- Retry: a call that failed by chance is made again, if that can do no harm.
---
--- Protects against  short failures: a connection that broke, an endpoint that restarts.
--- The client sees   the answer of the first attempt that went well; else the last one's, within
---                   the deadline. An outage is not multiplied: a fifth of calls is retried.
---
--- Only what may be repeated is: GET and its like, and whatever bears an Idempotency-Key.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "retry", version = "1.0.0" }

M.schema = target.schema("retry", {
  deadline = schema.duration { min = "1ms", default = "3s", doc = "Of all attempts together." },
  timeout = schema.duration { min = "1ms", default = "900ms", doc = "Of each attempt." },
  max = schema.integer { min = 0, max = 10, default = 2, doc = "Attempts after the first." },
  backoff = schema.string { default = "50ms..1s", doc = "First pause and longest pause." },
})

--- A handler that repeats what fails.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, {
    weir.deadline(o.deadline / 1e9),
    weir.retry { max = o.max, backoff = o.backoff },
    weir.timeout(o.timeout / 1e9),
  })
  return function(req) return guarded(function() return call(req) end) end
end

return M
