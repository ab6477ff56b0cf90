--- A route without a handler.
-- stage: load
-- says: handler
local weir = require "weir"
weir.route("GET /x", "shop") -- HERE
