--- The answer to the error spins too.
-- ends: script_burst
local function spin() while true do end end
return { spin, { on_error = spin } }
