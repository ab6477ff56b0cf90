--- The same, catching what it can.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local t = {}
  while true do pcall(function() while true do t[#t + 1] = {} end end) end
end
