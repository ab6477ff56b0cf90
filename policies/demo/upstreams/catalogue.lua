--- Products and prices: two services, for in real shops two teams own them and one fails at a time.
local weir = require "weir"
local goods = require "upstreams.goods"
local service = require "upstreams.service"

local products = service.new "products"
local prices = service.new "prices"

local function unknown()
  return weir.json(404, { error = "no such product" })
end

products("GET /products/by-id/:id", function(req)
  local one = goods[tonumber(req.params.id)]
  if not one then return unknown() end
  local text = "A fine " .. one.name:lower() .. "."
  return weir.json(200, { id = one.id, name = one.name, text = text })
end)

products("GET /products/named/:text", function(req)
  return weir.json(200, { items = weir.json.array(goods.named(req.params.text)) })
end)

-- Prices move a little from minute to minute, so that a stale one can be told from a fresh one.
prices("GET /prices/:id", function(req)
  local one = goods[tonumber(req.params.id)]
  if not one then return unknown() end
  local swing = math.floor(weir.time() / 60) % 50
  return weir.json(200, { id = one.id, cents = one.cents + swing, currency = "EUR" })
end)
