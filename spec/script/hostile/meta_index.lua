--- A field that takes for ever to read.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __index = spin })
  return t.x
end
