--- Insertions that each move all that is there.
-- ends: script_burst
return function(req)
  local t = {}
  while true do table.insert(t, 1, 1) end
end
