--- An error that is a table with a kind.
-- stage: load
-- says: config: no such tenant
local x = 1
error { kind = "config", message = "no such tenant" } -- HERE
