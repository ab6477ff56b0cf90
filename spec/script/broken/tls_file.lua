--- A certificate that is not there.
-- stage: load
-- says: missing.pem
local weir = require "weir"
local pair = { cert = "missing.pem", key = "missing.pem" }
weir.listen("127.0.0.1:1", { tls = { certificates = { pair } } }) -- HERE
