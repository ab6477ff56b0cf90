-- The engine first; when it is away, the catalogue's own lookup of names.
local weir = require "weir"
local search = require "weir.policies.search"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local engine = weir.upstream("search", { endpoints = { base } })
local catalogue = weir.upstream("products", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /search/full", search.handle {
  name = "search", upstream = engine,
  simple = function(req)
    return catalogue:get("/products/named/" .. weir.escape(req.query.q or "-"))
  end,
})
