-- Prices may be shown as they were up to a day ago.
local weir = require "weir"
local stale_on_error = require "weir.policies.stale_on_error"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local prices = weir.upstream("prices", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /prices/:id", stale_on_error.handle {
  name = "prices", upstream = prices, stale = "24h", deadline = "300ms",
})
