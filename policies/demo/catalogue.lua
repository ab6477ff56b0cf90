--- The catalogue: what a product is. It hardly ever changes, so a copy of yesterday's is as good.
---
--- Protects against  a short failure of the catalogue, which everything else needs.
--- The client sees   nothing: a product that was ever looked up is served for a day. One that never
---                   was answers 502, 503 or 504 while the catalogue is away.
local weir = require "weir"
local upstream = require "depend" "products"

local known = weir.cache("products", { ttl = "1m", stale = "24h" })

local guarded = weir.policy("products", {
  weir.deadline "1s",
  weir.retry { max = 2, backoff = "20ms..100ms" },
  weir.breaker { failure_rate = 0.5, window = "5s", min_calls = 10, open = "1s", open_max = "5s" },
  weir.bulkhead { max = 32, queue = 32, wait = "50ms" },
  weir.timeout "250ms",
})

local function ask(path)
  return guarded(function() return upstream:get(path) end)
end

local M = {}

--- The response for the product `id`: 200 with the product, 404, or nil and an error.
---@async
function M.product(id)
  local fresh = known:get(id)
  if fresh then return fresh end
  return weir.ladder {
    name = "product",
    { "catalogue", function()
      local res, err = ask("/by-id/" .. weir.escape(id))
      if res and res.status == 200 then known:set(id, res) end
      return res, err
    end },
    { "copy", function() return (known:stale(id)) end },
  }
end

--- The response with the products whose names contain `text`.
---@async
function M.named(text)
  return ask("/named/" .. weir.escape(text))
end

return M
