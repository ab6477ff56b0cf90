--- Long strings compared again and again.
-- ends: script_burst
return function(req)
  local a, b = ("x"):rep(2e6) .. "a", ("x"):rep(2e6) .. "b"
  local n = 0
  while true do if a < b then n = n + 1 end end
end
