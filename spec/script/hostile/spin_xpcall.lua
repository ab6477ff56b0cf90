--- The handler of an error spins: LuaJIT runs those where no hook can act.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  xpcall(error, spin)
end
