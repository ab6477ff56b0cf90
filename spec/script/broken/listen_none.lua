--- An address that is none.
-- stage: load
-- says: example.com:http
local weir = require "weir"
weir.listen "example.com:http" -- HERE
