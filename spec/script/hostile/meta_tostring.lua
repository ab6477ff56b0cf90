--- A value that takes for ever to print.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __tostring = spin })
  return tostring(t)
end
