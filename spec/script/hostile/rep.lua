--- A string of a gigabyte.
-- ends: raises script_string
return function(req)
  return ("x"):rep(1e9)
end
