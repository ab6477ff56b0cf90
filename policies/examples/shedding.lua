-- Prices matter more than searches: two at once of both together, and one that waits.
local weir = require "weir"
local shedding = require "weir.policies.shedding"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local prices = weir.upstream("prices", { endpoints = { base } })
local search = weir.upstream("search", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

local function shed(name, upstream)
  return shedding.handle { name = name, upstream = upstream, pool = "front", limit = 2, queue = 1,
    wait = "1s", deadline = "2s" }
end

weir.route("GET /prices/:id", { priority = "high" }, shed("prices", prices))
weir.route("GET /search/full", { priority = "low" }, shed("search", search))
