--- Many short protected calls, none of which is long itself.
-- ends: script_burst
return function(req)
  while true do pcall(error) end
end
