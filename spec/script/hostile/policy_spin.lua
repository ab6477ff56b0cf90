--- Spins while it holds a probe, a slot and a permit.
-- ends: script_burst
local weir = require "weir"
local function spin() while true do end end
local guarded = weir.policy("hostile", {
  weir.shedder { limit = 4 }, weir.retry(2), weir.breaker {}, weir.bulkhead { max = 1, queue = 0 },
  weir.limiter { rate = "1000/s" },
})
return function(req)
  return guarded(spin)
end
