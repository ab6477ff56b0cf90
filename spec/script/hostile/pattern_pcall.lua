--- Pattern bombs one after the other, each caught.
-- ends: script_burst
return function(req)
  while true do pcall(string.find, ("a"):rep(1000), "a-a-a-b") end
end
