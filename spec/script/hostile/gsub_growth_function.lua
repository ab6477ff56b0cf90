--- The same by a function.
-- ends: raises script_string
return function(req)
  local y = ("y"):rep(1e5)
  return (("x"):rep(1e5):gsub("x", function() return y end))
end
