-- Four goods for each user; everybody's favourites when the service is away.
local weir = require "weir"
local recommendations = require "weir.policies.recommendations"

local POPULAR = { { id = 1, name = "Lantern" }, { id = 4, name = "Compass" } }

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local service = weir.upstream("recommendations", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /recommendations/users/:id", recommendations.handle {
  name = "recommendations", upstream = service,
  popular = function(req) return weir.json(200, { user = req.params.id, items = POPULAR }) end,
})
