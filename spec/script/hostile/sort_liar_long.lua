--- The same over a list that takes long.
-- ends: script_burst, script_growth
return function(req)
  local t = {}
  for i = 1, 300000 do t[i] = i % 7 end
  table.sort(t, function() return true end)
  return "sorted"
end
