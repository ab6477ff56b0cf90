-- Search on a flaky service: two more attempts within 900 ms.
local weir = require "weir"
local retry = require "weir.policies.retry"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local search = weir.upstream("search", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /search/full", retry.handle {
  name = "search", upstream = search, deadline = "900ms", timeout = "250ms", backoff = "10ms..50ms",
})
