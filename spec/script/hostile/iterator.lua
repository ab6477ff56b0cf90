--- An iterator that never ends.
-- ends: script_burst
return function(req)
  for _ in function() return 1 end do end
end
