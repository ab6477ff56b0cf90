--- 64-bit integers, which live outside of the numbers.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local t = {}
  while true do t[#t + 1] = 1LL end
end
