--- The gateway under the suite of scripts/conformance cache: the shipped policy, and nothing else.
local weir = require "weir"
local http_cache = require "weir.policies.http_cache"

local origin = weir.upstream("origin", { endpoints = { weir.env "ORIGIN" } })

weir.listen(weir.env "LISTEN")
-- Without retries: the suite counts what reaches its origin.
weir.route("/test/*path", http_cache.handle { name = "http", upstream = origin, max = 0 })
-- How the suite talks to its own server.
weir.route("/*path", function(req) return origin:forward(req) end)
