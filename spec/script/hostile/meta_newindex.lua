--- A field that takes for ever to write.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __newindex = spin })
  t.x = 1
end
