--- A number of eight megabytes.
-- ends: answers, script_burst
return function(req)
  return tostring(tonumber(("1"):rep(8e6)))
end
