--- A table of the library that is changed.
-- stage: load
-- says: library tables cannot be modified
local weir = require "weir"
weir.route = nil -- HERE
