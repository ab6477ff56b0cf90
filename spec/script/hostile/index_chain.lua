--- A chain of ten thousand metatables.
-- ends: raises gettable
return function(req)
  local t = {}
  for _ = 1, 10000 do t = setmetatable({}, { __index = t }) end
  return t.x
end
