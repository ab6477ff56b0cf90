--- One inside of a metamethod.
-- stage: load
-- says: script_load_time
local t = setmetatable({}, { __index = function() while true do end end }) -- HERE
return t.x
