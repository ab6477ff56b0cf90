-- Two searches at once for each tenant, then one an hour. Behind it the service as it is.
local weir = require "weir"
local tenant_limit = require "weir.policies.tenant_limit"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local search = weir.upstream("search", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /search/full", tenant_limit.handle {
  name = "tenants", upstream = search, rate = "1/h", burst = 2,
})
