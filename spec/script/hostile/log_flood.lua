--- Lines with fields without end on the log.
-- ends: script_burst
local weir = require "weir"
return function(req)
  while true do weir.log.info("flood", { text = ("x"):rep(1000) }) end
end
