--- Waits for nothing, for ever: each turn of the loop is its own.
-- ends: script_budget
local weir = require "weir"
return function(req)
  while true do
    for _ = 1, 1e5 do end
    weir.sleep(0)
  end
end
