--- Recursion without end.
-- stage: load
-- says: stack overflow
local function f() return 1 + f() end -- HERE
return f()
