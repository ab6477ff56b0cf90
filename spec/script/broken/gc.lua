--- A finaliser that raises: policies get none.
-- stage: load
-- says: __gc is not available
setmetatable({}, { __gc = function() error "in __gc" end }) -- HERE
