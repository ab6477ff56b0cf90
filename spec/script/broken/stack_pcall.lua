--- Recursion through pcall, which raises in the end.
-- stage: load
-- says: nested deeper than 100 levels
local function f() local ok, e = pcall(f) if not ok then error(e, 0) end end -- HERE
f()
