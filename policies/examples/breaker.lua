-- Photos behind a breaker that acts quickly, so that one can watch it: five failures open it.
local weir = require "weir"
local breaker = require "weir.policies.breaker"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local photos = weir.upstream("photos", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /photos/*rest", breaker.handle {
  name = "photos", upstream = photos, timeout = "300ms", slow_call = "250ms", consecutive = 5,
  open = "500ms", ramp = "1s",
})
