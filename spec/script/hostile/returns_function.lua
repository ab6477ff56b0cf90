--- A handler that returns a function.
-- ends: raises must return a response
return function(req)
  return function() end
end
