--- Two listeners of one address.
-- stage: load
-- says: is listened on already
local weir = require "weir"
weir.listen "127.0.0.1:$(port)" -- HERE
