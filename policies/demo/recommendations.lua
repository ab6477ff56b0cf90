--- Recommendations: personal -> cached -> popular.
---
--- Protects against  a recommendation service that is slow, failing, hanging or gone, and protects
---                   that service from us: at most 64 calls at once, and none while it is known to
---                   fail.
--- The client sees   always 200. `X-Degraded: cached`: this user's list from up to an hour ago;
---                   `X-Degraded: popular`: what everybody likes. Never later than 650 ms.
local weir = require "weir"
local upstream = require "depend" "recommendations"

local POPULAR = {
  { id = 1, name = "Lantern" }, { id = 4, name = "Compass" },
  { id = 7, name = "Backpack" }, { id = 15, name = "Mug" },
}

local seen = weir.cache("recommendations", { ttl = "30s", stale = "1h" })

local guarded = weir.policy("recommendations", {
  weir.deadline "650ms", -- all attempts and pauses together
  weir.retry { max = 1, backoff = "10ms..50ms" }, -- one more try, if time and budget allow
  weir.breaker {
    failure_rate = 0.5, window = "5s", min_calls = 10,
    consecutive = 20, -- under load the rate takes seconds to show what these show at once
    slow_call = "200ms", slow_rate = 0.5, -- an answer that is late is as bad as none
    open = "2s", open_max = "10s", probes = 3,
  },
  weir.bulkhead { max = 64, queue = 32, wait = "50ms" },
  weir.timeout "250ms", -- each attempt
})

local M = {}

--- The answer for one user; home.lua shows it too.
---@async
function M.answer(user)
  return weir.ladder {
    name = "recommendations",
    { "personal", function()
      local res, err = guarded(function() return upstream:get("/users/" .. weir.escape(user)) end)
      if res and res.status == 200 then seen:set(user, res) end
      return res, err
    end },
    { "cached", function() return (seen:stale(user)) end },
    { "popular", function() return weir.json(200, { user = user, items = POPULAR }) end },
  }
end

weir.route("GET /users/:id/recommendations", function(req) return M.answer(req.params.id) end)

return M
