--- A layer that is none.
-- stage: load
-- says: layer
local weir = require "weir"
weir.policy("p", { 1 }) -- HERE
