--- A value that takes for ever to print, printed.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __tostring = spin })
  print(t)
end
