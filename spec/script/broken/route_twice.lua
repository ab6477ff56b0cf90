--- A route that is there already.
-- stage: routes
-- says: the method has that path already
local weir = require "weir"
weir.route("GET /", function() end) -- HERE
