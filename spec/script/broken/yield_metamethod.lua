--- Waiting inside of a metamethod.
-- stage: load
-- says: weir.sleep waits
local weir = require "weir"
local t = setmetatable({}, { __index = function() weir.sleep "1s" end }) -- HERE
return t.x
