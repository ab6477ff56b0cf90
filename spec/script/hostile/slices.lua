--- Computes in slices, each short, for ever.
-- ends: script_budget
local weir = require "weir"
return function(req)
  while true do
    for _ = 1, 5e5 do end
    weir.sleep "1ms"
  end
end
