--- A value that takes for ever to join.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __concat = spin })
  return t .. ""
end
