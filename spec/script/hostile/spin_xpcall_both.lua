--- Body and handler spin.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  xpcall(spin, spin)
end
