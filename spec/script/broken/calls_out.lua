--- A request at load.
-- stage: load
-- says: waits, and nothing can wait while scripts load
local weir = require "weir"
weir.http.get "http://127.0.0.1:1/" -- HERE
