--- HTTP cache: what may be answered from memory is (RFC 9111).
---
--- Protects against  work that was done already, and an outage of what is behind.
--- The client sees   `Age` and `Cache-Status`; what is old is validated, or served while it is
---                   refreshed behind, or served rather than an error; and the errors of what was
---                   never stored or must not be served stale.
---
--- What the responses say in Cache-Control and its like decides; the options are for those that
--- say nothing.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "http_cache", version = "1.0.0" }

M.schema = target.schema("http cache", {
  cache = schema.table { doc = "Options of weir.http_cache." },
  deadline = schema.duration { min = "1ms", default = "5s", doc = "Of all attempts together." },
  timeout = schema.duration { min = "1ms", default = "2s", doc = "Of each attempt." },
  max = schema.integer { min = 0, max = 10, default = 1, doc = "Attempts after the first." },
})

--- A handler that asks only for what it does not have.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local store = weir.http_cache(o.name, o.cache)
  local guarded = weir.policy(o.name, {
    weir.deadline(o.deadline / 1e9),
    weir.retry(o.max),
    weir.breaker { failure_rate = 0.5, window = "10s", open = "2s" },
    weir.timeout(o.timeout / 1e9),
  })
  return function(req)
    return store:serve(req, function()
      return guarded(function() return call(req) end)
    end)
  end
end

return M
