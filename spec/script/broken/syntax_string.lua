--- A string that does not end.
-- stage: load
-- says: unfinished string
local x = 1
local y = "no end -- HERE
