--- Children of children without end: all of them start in one turn.
-- ends: raises nested deeper
local weir = require "weir"
return function(req)
  local function again() return weir.all { again } end
  local _, err = again()
  error(err.message)
end
