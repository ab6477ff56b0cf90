--- A replacement that makes ten gigabytes of a hundred kilobytes.
-- ends: raises script_string, script_burst
return function(req)
  return (("x"):rep(1e5):gsub("x", ("y"):rep(1e5)))
end
