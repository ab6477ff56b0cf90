--- The same, catching that there is no memory, for ever.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local s = "x"
  while true do pcall(function() s = s .. s end) end
end
