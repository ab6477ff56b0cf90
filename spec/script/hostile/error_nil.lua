--- An error that is nothing.
-- ends: raises raised a nil value
return function(req)
  error()
end
