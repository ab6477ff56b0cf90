--- A value of another type.
-- stage: load
-- says: deadline
local weir = require "weir"
weir.route("GET /x", { deadline = {} }, function() end) -- HERE
