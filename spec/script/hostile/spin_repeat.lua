--- A loop whose condition never comes.
-- ends: script_burst
return function(req)
  local n = 0
  repeat n = n + 1 until n < 0
  return n
end
