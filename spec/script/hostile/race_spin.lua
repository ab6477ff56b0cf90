--- A child spins, the other has the answer.
-- ends: answers
local weir = require "weir"
local function spin() while true do end end
return function(req)
  return weir.race { spin, function() weir.sleep "1ms" return "other" end }
end
