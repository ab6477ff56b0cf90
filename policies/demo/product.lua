--- The product page: fresh price -> stale price -> no price.
---
--- Protects against  the price service being away. A page with an old price sells, an error not.
--- The client sees   200. `X-Degraded: stale-price`: the last price that was known, with its age in
---                   `price.age_s`; `X-Degraded: no-price`: the page without a price.
local weir = require "weir"
local prices = require "depend" "prices"
local catalogue = require "catalogue"

local known = weir.cache("prices", { ttl = "5s", stale = "6h" })

local guarded = weir.policy("prices", {
  weir.deadline "500ms",
  weir.retry { max = 1, backoff = "10ms..50ms" },
  weir.breaker { consecutive = 5, window = "5s", open = "2s", open_max = "10s" },
  weir.bulkhead { max = 32, queue = 16, wait = "30ms" },
  weir.timeout "200ms",
})

-- The price as {cents, currency}, or nil and why not.
local function ask(id)
  local price = known:get(id)
  if price then return price end
  local res, err = guarded(function() return prices:get("/" .. weir.escape(id)) end)
  if not res then return nil, err end
  if res.status ~= 200 then
    return nil, weir.error("protocol", "the price service said " .. res.status)
  end
  local got, wrong = res:json()
  if not got then return nil, wrong end
  return known:set(id, { cents = got.cents, currency = got.currency })
end

local function page(product, price)
  local whole = { id = product.id, name = product.name, text = product.text, price = price }
  return weir.json(200, whole)
end

local M = {}

--- The page of product `id` as a response; home.lua shows it too.
---@async
function M.page(id)
  local res, err = catalogue.product(id)
  if not res or res.status ~= 200 then return res, err end
  local product, wrong = res:json()
  if not product then return nil, wrong end
  return weir.ladder {
    name = "price",
    { "fresh-price", function()
      local price, no_price = ask(id)
      if not price then return nil, no_price end
      return page(product, price)
    end },
    { "stale-price", function()
      local price, age = known:stale(id)
      if not price then return nil end
      price.age_s = math.floor(age)
      return page(product, price)
    end },
    { "no-price", function() return page(product, nil) end },
  }
end

weir.route("GET /products/:id", function(req) return M.page(req.params.id) end)

return M
