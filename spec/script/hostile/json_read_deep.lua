--- A million brackets to read.
-- ends: answers
local weir = require "weir"
return function(req)
  local _, err = weir.json.decode(("["):rep(1e6))
  return tostring(err)
end
