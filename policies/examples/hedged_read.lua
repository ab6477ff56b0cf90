-- Prices from two endpoints (here two names of one): whichever answers first.
local weir = require "weir"
local hedged_read = require "weir.policies.hedged_read"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local other = base:gsub("127.0.0.1", "localhost")
local prices = weir.upstream("prices", { endpoints = { base, other } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /prices/:id", hedged_read.handle {
  name = "prices", upstream = prices, delay = "60ms", max_extra_load = 0.5,
  deadline = "600ms", timeout = "500ms",
})
