--- One enormous string.
-- stage: load
-- says: script_string
local s = ("x"):rep(1e9) -- HERE
return s
