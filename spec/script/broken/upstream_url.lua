--- An endpoint that is no URL.
-- stage: load
-- says: endpoint
local weir = require "weir"
weir.upstream("u", { endpoints = { "127.0.0.1" } }) -- HERE
