--- A table with holes at the ends of the world.
-- ends: answers
return function(req)
  local t = {}
  t[2 ^ 40], t[2 ^ 53], t[-2 ^ 53] = 1, 1, 1
  return tostring(#t)
end
