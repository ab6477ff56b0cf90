--- As many values as one text may have, again and again.
-- ends: script_burst, script_growth, script_memory
local weir = require "weir"
return function(req)
  local text = "[" .. ("{},"):rep(2e5) .. "{}]"
  local t = {}
  while true do t[#t + 1] = weir.json.decode(text) end
end
