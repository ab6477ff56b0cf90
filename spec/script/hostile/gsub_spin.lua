--- A replacement that never comes.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  return (("x"):gsub("x", spin))
end
