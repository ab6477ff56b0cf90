--- Long strings turned about.
-- ends: script_burst
return function(req)
  local s = ("x"):rep(4e6)
  while true do s = s:reverse():upper():lower() end
end
