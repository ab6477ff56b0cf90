--- A metric with ever new labels.
-- ends: script_burst
local weir = require "weir"
local flood = weir.metrics.counter("hostile_flood_total", "A flood {n}")
return function(req)
  local n = 0
  while true do
    n = n + 1
    flood:inc { n = "n" .. n }
  end
end
