--- A statement that is none.
-- stage: load
-- says: unexpected symbol near '='
local x = = 1 -- HERE
