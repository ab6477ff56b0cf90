--- A table that holds itself, as JSON.
-- ends: raises .
local weir = require "weir"
return function(req)
  local t = {}
  t[1] = t
  return weir.json(200, t)
end
