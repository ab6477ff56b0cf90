--- A handler that returns as much as the stack holds.
-- ends: raises must return a response, raises too many
return function(req)
  local t = {}
  for i = 1, 7000 do t[i] = i end
  return unpack(t)
end
