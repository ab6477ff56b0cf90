--- Catches its own interruption, for ever: an error would be swallowed, a yield is not.
-- ends: script_burst
return function(req)
  while true do pcall(function() while true do end end) end
end
