--- Recursion without end.
-- ends: raises stack overflow
return function(req)
  local function again() return 1 + again() end
  return again()
end
