--- An HTTP cache in front of an upstream (RFC 9111): answers what it may from memory, validates
--- what is old, serves stale while it refreshes behind, and serves stale rather than an error.
---
--- The client sees `Age` and `Cache-Status`, and the upstream's errors only for what was never
--- stored or must not be served stale.
local weir = require "weir"
local schema = require "weir.schema"

local M = { name = "http_cache", version = "1.0.0" }

M.schema = schema.new("http_cache policy", {
  upstream = schema.any { required = true, doc = "What is cached: a weir.upstream." },
  cache = schema.string { min = 1, max = 127, default = "http",
    doc = "Name of the store; what bears one name shares it." },
  options = schema.table { doc = "Options of weir.http_cache." },
  deadline = schema.any { default = "5s", doc = "Limit of a call, retries included." },
  retries = schema.integer { min = 0, max = 10, default = 1, doc = "Attempts after the first." },
  attempt = schema.any { default = "2s", doc = "Limit of one attempt." },
})

--- A route's handler: `weir.route("/*path", http_cache.handle { upstream = shop })`.
function M.handle(given)
  local o = M.schema:check(given)
  local store = weir.http_cache(o.cache, o.options)
  local guarded = weir.policy("http_cache " .. o.cache, {
    weir.deadline(o.deadline),
    weir.retry(o.retries),
    weir.breaker { failure_rate = 0.5, window = "10s", open = "2s" },
    weir.timeout(o.attempt),
  })
  return function(req)
    return store:serve(req, function()
      return guarded(function() return o.upstream:forward(req) end)
    end)
  end
end

return M
