--- A value out of bounds.
-- stage: load
-- says: max
local weir = require "weir"
weir.policy("p", { weir.retry { max = 1000 } }) -- HERE
