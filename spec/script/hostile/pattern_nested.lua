--- A balance over an unbalanced megabyte, from each place.
-- ends: raises pattern too complex, script_burst
return function(req)
  return tostring(("("):rep(1e6):find "%b()")
end
