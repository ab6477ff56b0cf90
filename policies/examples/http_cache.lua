-- Photos behind a cache: fresh for a minute, then served while they are refreshed, for a day when
-- the service is away.
local weir = require "weir"
local http_cache = require "weir.policies.http_cache"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local photos = weir.upstream("photos", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET,HEAD /photos/:user", http_cache.handle {
  name = "photos", upstream = photos, deadline = "900ms", timeout = "400ms",
  cache = { ttl = "1m", stale_while_revalidate = "10m", stale_if_error = "1d" },
})
