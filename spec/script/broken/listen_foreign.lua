--- An address that is not ours.
-- stage: listen
-- says: 192.0.2.1:8080
local weir = require "weir"
weir.listen "192.0.2.1:8080" -- HERE
