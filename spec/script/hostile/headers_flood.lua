--- A response with a hundred thousand fields.
-- ends: raises .
local weir = require "weir"
return function(req)
  local h = {}
  for i = 1, 1e5 do h["X-" .. i] = "v" end
  return weir.response(200, "x", h)
end
