-- The demo has no profile service; its recommendations for a user stand in for one.
local weir = require "weir"
local profile = require "weir.policies.profile"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local users = weir.upstream("recommendations", { endpoints = { base } })

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /users/:id", profile.handle {
  name = "profile", fresh = "100ms",
  call = function(req)
    return users:get("/recommendations/users/" .. weir.escape(req.params.id))
  end,
  guest = function() return weir.json(200, { user = "guest", items = weir.json.array() }) end,
})
