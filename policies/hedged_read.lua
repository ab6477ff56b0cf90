--- Hedged read: when one endpoint dawdles another one is asked, and the first answer is taken.
---
--- Protects against  the one call in twenty that is slow for no reason of its own: a pause of a
---                   garbage collector, a full queue on one endpoint, a lost packet.
--- The client sees   the faster answer. The upstream sees at most a few percent more calls; the
---                   slower attempt is cancelled.
---
--- For reads: what may not be sent twice is not. Give the upstream more than one endpoint.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "hedged_read", version = "1.0.0" }

M.schema = target.schema("hedged read", {
  delay = schema.duration { min = "1ms", max = "1h",
    doc = "A call this slow is hedged; by default it follows from max_extra_load." },
  max_extra_load = schema.number { min = 0.0001, max = 1, default = 0.05,
    doc = "Hedges per call, a hard bound." },
  deadline = schema.duration { min = "1ms", default = "2s", doc = "Of the whole call." },
  timeout = schema.duration { min = "1ms", default = "1s", doc = "Of each attempt." },
})

--- A handler that asks twice when the first answer is late.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, {
    weir.deadline(o.deadline / 1e9),
    weir.hedge { delay = o.delay and o.delay / 1e9, max_extra_load = o.max_extra_load },
    weir.timeout(o.timeout / 1e9),
  })
  return function(req) return guarded(function() return call(req) end) end
end

return M
