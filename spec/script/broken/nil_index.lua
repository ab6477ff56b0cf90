--- A field of nothing.
-- stage: load
-- says: attempt to index field 'x'
local t = {}
t.x.y = 1 -- HERE
