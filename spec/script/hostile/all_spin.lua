--- All children spin, each for its own burst.
-- ends: script_burst
local weir = require "weir"
local function spin() while true do end end
return function(req)
  return weir.all { spin, spin, spin }
end
