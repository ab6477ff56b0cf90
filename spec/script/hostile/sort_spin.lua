--- A comparator that never answers.
-- ends: script_burst
local function spin() while true do end end
return function(req)
  table.sort({ 2, 1 }, spin)
end
