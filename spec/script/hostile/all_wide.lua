--- More children than there may be.
-- ends: script_burst, script_growth, script_memory, raises .
local weir = require "weir"
return function(req)
  local t, f = {}, function() weir.sleep "1s" return 1 end
  for i = 1, 2e5 do t[i] = f end
  local _, err = weir.all(t)
  error(err.message)
end
