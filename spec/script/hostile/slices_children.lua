--- Has its children compute in slices.
-- ends: script_budget
local weir = require "weir"
return function(req)
  local function child()
    while true do
      for _ = 1, 5e5 do end
      weir.sleep "1ms"
    end
  end
  return weir.all { child, child, child }
end
