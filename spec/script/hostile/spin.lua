--- The plainest of all: a loop without end.
-- ends: script_burst
return function(req)
  while true do end
end
