--- A rung that spins is no rung that fails: the next one is not asked.
-- ends: script_burst
local weir = require "weir"
local function spin() while true do end end
return function(req)
  return weir.ladder { { "first", spin }, { "second", function() return "x" end } }
end
