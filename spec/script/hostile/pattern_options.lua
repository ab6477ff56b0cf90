--- A pattern of a hundred thousand optional letters.
-- ends: answers
return function(req)
  return tostring(("x"):find(("a?"):rep(100000)))
end
