--- A pattern that is none.
-- stage: routes
-- says: GET x
local weir = require "weir"
weir.route("GET x", function() end) -- HERE
