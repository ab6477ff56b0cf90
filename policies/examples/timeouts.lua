-- Two dependencies of different kinds. The route of the slow one must allow for its limit.
local weir = require "weir"
local timeouts = require "weir.policies.timeouts"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local prices = weir.upstream("prices", { endpoints = { base } })
local payments = weir.upstream("payments", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /prices/:id",
  timeouts.handle { name = "prices", kind = "internal", limit = "300ms", upstream = prices })

weir.route("POST /payments/*rest", { deadline = "11s" },
  timeouts.handle { name = "payments", kind = "external", upstream = payments })
