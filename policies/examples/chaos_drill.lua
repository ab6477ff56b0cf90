-- weir run --allow-chaos policies/examples/chaos_drill.lua
-- weir chaos apply prices 5m
local weir = require "weir"
local chaos_drill = require "weir.policies.chaos_drill"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local prices = weir.upstream("prices", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /prices/:id", chaos_drill.handle {
  name = "prices", upstream = prices, probability = 1, error = "connect", deadline = "1200ms",
  fallback = function(req) return weir.json(200, { id = req.params.id, on_request = true }) end,
})
