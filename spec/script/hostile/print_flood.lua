--- Lines without end on the log.
-- ends: script_burst
return function(req)
  while true do print(("x"):rep(1000)) end
end
