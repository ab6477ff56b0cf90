--- Waiting at load.
-- stage: load
-- says: weir.sleep waits, and nothing can wait while scripts load
local weir = require "weir"
weir.sleep "1s" -- HERE
