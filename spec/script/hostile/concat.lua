--- A list whose text is a hundred gigabytes.
-- ends: raises script_string
return function(req)
  local t, s = {}, ("x"):rep(1e6)
  for i = 1, 1e5 do t[i] = s end
  return table.concat(t)
end
