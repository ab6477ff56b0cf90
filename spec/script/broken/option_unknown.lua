--- An option with a slip of the pen.
-- stage: load
-- says: did you mean
local weir = require "weir"
weir.policy("p", { weir.retry { mx = 1 } }) -- HERE
