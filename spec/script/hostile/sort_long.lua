--- A list so long that sorting it is one long call of C, built in slices.
-- ends: script_budget, script_growth
local weir = require "weir"
return function(req)
  local t = {}
  for _ = 1, 100 do
    for _ = 1, 50000 do t[#t + 1] = (#t * 7919) % 100003 end
    weir.sleep "1ms"
  end
  table.sort(t)
  return "sorted"
end
