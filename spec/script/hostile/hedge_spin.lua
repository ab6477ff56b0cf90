--- Hedged attempts that spin: the caller raises what its attempt was stopped for.
-- ends: raises script_burst
local weir = require "weir"
local function spin() while true do end end
local hedged = weir.policy("hostile hedge", { weir.hedge { delay = "1ms" } })
return function(req)
  return hedged(spin)
end
