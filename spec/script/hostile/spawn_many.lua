--- As much work at once as there may be.
-- ends: answers, script_burst, script_growth, script_memory
local weir = require "weir"
return function(req)
  for _ = 1, 2e4 do weir.spawn(function() weir.sleep "1ms" end) end
  return "answered"
end
