--- Policies inside policies, retries that meet at run time, and what a refusal says of itself.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"

local OK = origin.answer("200 OK", "fine")
local BAD = origin.answer("503 Service Unavailable", "bad")

describe("composition", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local function quick(max)
        return weir.retry { max = max, backoff = "1ms..1ms", budget = { min = 10000 } }
      end
      local function forward(req) return function() return up:forward(req) end end

      local inner = weir.policy("inner", { quick(1),
        weir.breaker { failure_rate = 0, consecutive = 6, open = "1h", open_max = "1h" } })
      local outer = weir.policy("outer", { weir.deadline "5s", quick(1), inner })
      weir.route("GET /nested", function(req) return outer(forward(req)) end)
      weir.route("GET /alone", function(req) return inner(forward(req)) end)

      local near = weir.policy("near", { quick(1), weir.timeout "1s" })
      local far = weir.policy("far", { weir.deadline "5s", quick(2), weir.timeout "1s" })
      weir.route("GET /met", function(req)
        return far(function() return (weir.all { function() return near(forward(req)) end })[1] end)
      end)
      weir.route("GET /beside", function(req)
        near(forward(req))
        return far(forward(req))
      end)

      local pooled = weir.policy("pooled",
        { weir.bulkhead { max = 1, queue = 0, name = "critical" } })
      local waiting = weir.policy("waiting",
        { weir.bulkhead { max = 1, queue = 1, wait = "20ms", name = "critical" } })
      weir.route("GET /pooled", function(req) return pooled(forward(req)) end)
      weir.route("GET /full", function(req)
        return pooled(function() return pooled(forward(req)) end)
      end)
      weir.route("GET /late", function(req)
        local _, err = pooled(function() return waiting(forward(req)) end)
        return weir.json(200, { policy = err.policy, primitive = err.primitive })
      end)
    ]] }
  end)

  teardown(function()
    if g then g:kill() end
    if o then o:stop() end
  end)
end)
