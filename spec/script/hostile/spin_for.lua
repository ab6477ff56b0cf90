--- A numeric loop to infinity.
-- ends: script_burst
return function(req)
  local n = 0
  for _ = 1, math.huge do n = n + 1 end
  return n
end
