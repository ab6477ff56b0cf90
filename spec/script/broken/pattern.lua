--- A pattern that tries for ever.
-- stage: load
-- says: pattern too complex
local found = ("a"):rep(1000):find "a-a-a-b" -- HERE
return found
