--- A comparator that always says yes: LuaJIT's own sort reads beyond the list.
-- ends: answers
return function(req)
  local t = {}
  for i = 1, 1000 do t[i] = i % 7 end
  table.sort(t, function() return true end)
  return "sorted"
end
