--- A finaliser that raises: policies get none.
-- ends: raises __gc is not available
return function(req)
  setmetatable({}, { __gc = function() error "in __gc" end })
  return "x"
end
