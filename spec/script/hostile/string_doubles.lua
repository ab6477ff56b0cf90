--- A string that doubles.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local s = "x"
  while true do s = s .. s end
end
