-- A tenth of the users get their list from the new recommendation service.
local weir = require "weir"
local canary = require "weir.policies.canary"

local base = weir.env "SHOP_UPSTREAMS" or "http://127.0.0.1:9100"
local old = weir.upstream("old", { endpoints = { base } })
local new = weir.upstream("new", { endpoints = { base } }) -- played by the search

weir.listen(weir.env "SHOP_LISTEN" or "127.0.0.1:8080")

weir.route("GET /recommendations/users/:id", canary.handle {
  name = "new-recommendations", upstream = old, percent = 10, deadline = "300ms",
  canary = function(req) return new:get("/search/full?q=" .. weir.escape(req.params.id)) end,
  key = function(req) return req.params.id end,
})
