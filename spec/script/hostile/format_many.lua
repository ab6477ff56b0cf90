--- Forty long strings in one format.
-- ends: raises ., script_burst, script_growth, script_memory
return function(req)
  local t, s = {}, ("x"):rep(8e6)
  for i = 1, 40 do t[i] = s end
  return ("%s"):rep(40):format(unpack(t))
end
