--- Half a million numbers as JSON.
-- ends: script_burst, script_growth, script_memory, raises script_string
local weir = require "weir"
return function(req)
  local t = {}
  for i = 1, 5e5 do t[i] = i end
  return weir.json(200, t)
end
