--- The same, from inside of string.format.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __tostring = spin })
  return ("%s"):format(t)
end
