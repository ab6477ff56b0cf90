--- A thousand tables inside each other as JSON.
-- ends: raises levels deep
local weir = require "weir"
return function(req)
  local t = {}
  for _ = 1, 1000 do t = { t } end
  return weir.json(200, t)
end
