--- Waiting at load, and catching that.
-- stage: load
-- says: caught
local weir = require "weir"
local ok, err = pcall(weir.sleep, "1s")
if not ok then error("caught: " .. err) end -- HERE
