--- The work that others wait for spins.
-- ends: script_burst
local weir = require "weir"
local function spin() while true do end end
local cached = weir.cache("hostile", { ttl = "1m" })
return function(req)
  return cached:fetch("key", spin)
end
