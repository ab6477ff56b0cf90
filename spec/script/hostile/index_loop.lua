--- A table that is its own __index.
-- ends: raises loop in gettable
return function(req)
  local t = {}
  setmetatable(t, { __index = t })
  return t.x
end
