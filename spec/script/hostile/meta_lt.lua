--- Values that take for ever to order, met by a sort.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  local m = { __lt = spin }
  table.sort { setmetatable({}, m), setmetatable({}, m) }
end
