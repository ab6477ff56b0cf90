--- The work after the answer spins.
-- ends: answers
local weir = require "weir"
local function spin() while true do end end
return function(req)
  weir.spawn(spin)
  return "answered"
end
