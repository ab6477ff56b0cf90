--- Work that begets work, for ever: the loop must turn in between.
-- ends: answers
local weir = require "weir"
local links = 0
local function over() links = links + 1 return links > 1e5 end
return function(req)
  local function again() if not over() then weir.spawn(again) end end
  again()
  return "answered"
end
