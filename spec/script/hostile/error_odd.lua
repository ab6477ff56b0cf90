--- An error object whose fields are not what they should be.
-- ends: raises raised a table
return function(req)
  error { kind = {}, message = setmetatable({}, { __tostring = error }) }
end
