--- A list that grows in slices, waiting in between: no burst is long.
-- ends: script_growth, script_burst, script_budget
local weir = require "weir"
return function(req)
  local t = {}
  while true do
    for _ = 1, 10000 do t[#t + 1] = {} end
    weir.sleep "1ms"
  end
end
