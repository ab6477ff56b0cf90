--- Eight megabytes of JSON to read.
-- ends: answers, script_burst, script_growth, script_memory
local weir = require "weir"
return function(req)
  local _, err = weir.json.decode("[" .. ("[],"):rep(2.5e6) .. "[]]")
  return tostring(err)
end
