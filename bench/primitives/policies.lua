-- What run.lua measures from Lua: a script of a real worker. GET /run/NAME/COUNT passes COUNT calls
-- of an empty function through the policy of that name.
local weir = require "weir"

weir.listen "127.0.0.1:$(port)"

-- The baseline: a policy whose only layer is none.
local nothing = { kind = "none", options = {}, wrap = function(_, run) return run end }

local policies = {
  nothing = weir.policy("nothing", { nothing }),
  breaker = weir.policy("breaker", { weir.breaker {} }),
  bulkhead = weir.policy("bulkhead", { weir.bulkhead {} }),
  limiter = weir.policy("limiter", { weir.limiter { rate = "1000000/s" } }),
  shedder = weir.policy("shedder", { weir.shedder {} }),
  throttle = weir.policy("throttle", { weir.throttle {} }),
  hedge = weir.policy("hedge", { weir.hedge {} }),
  timeout = weir.policy("timeout", { weir.timeout "1s" }),
  retry = weir.policy("retry", { weir.retry {} }),
  all = weir.policy("all", {
    weir.deadline "2s", weir.retry {}, weir.breaker {}, weir.bulkhead {}, weir.timeout "1s",
  }),
}

local function succeed()
  return true
end

weir.route("GET /run/:name/:count", function(req)
  local policy = policies[req.params.name]
  if not policy then return weir.response(404, "no such policy") end
  for _ = 1, tonumber(req.params.count) do assert(policy(succeed)) end
  return weir.response(200, "done")
end)
