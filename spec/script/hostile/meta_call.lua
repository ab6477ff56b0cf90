--- A value that takes for ever to call.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local t = setmetatable({}, { __call = spin })
  return t()
end
