--- A route that is open on errors, to nowhere.
-- stage: load
-- says: upstream
local weir = require "weir"
weir.route("GET /x", { on_error = "open" }, function() end) -- HERE
