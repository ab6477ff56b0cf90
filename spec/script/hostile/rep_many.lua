--- Strings as long as they may be, one after the other, dropped.
-- ends: script_burst
return function(req)
  while true do local s = ("x"):rep(8e6) .. "y" end
end
