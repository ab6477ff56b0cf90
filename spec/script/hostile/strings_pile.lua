--- Strings of a kilobyte, all kept.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local t = {}
  while true do t[#t + 1] = ("x"):rep(1000) .. #t end
end
