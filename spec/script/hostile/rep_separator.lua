--- Nothing, a billion times, with a separator.
-- ends: raises script_string
return function(req)
  return (""):rep(1e9, "xxxxxxxx")
end
