--- A value that takes for ever to negate.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __unm = spin })
  return -t
end
