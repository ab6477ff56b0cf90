--- A string, infinitely often.
-- ends: raises script_string
return function(req)
  return ("x"):rep(1 / 0)
end
