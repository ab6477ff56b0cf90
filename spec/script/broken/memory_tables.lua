--- A list that grows without end.
-- stage: load
-- says: script_
local t = {}
while true do t[#t + 1] = { {}, {} } end -- HERE
