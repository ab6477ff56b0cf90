--- An error that is raised.
-- stage: load
-- says: not today
local function check() error "not today" end -- HERE
check()
