--- Closures that each hold the one before.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local f = function() end
  while true do
    local g = f
    f = function() return g end
  end
end
