--- Two values that take for ever to compare.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local m = { __eq = spin }
  return tostring(setmetatable({}, m) == setmetatable({}, m))
end
