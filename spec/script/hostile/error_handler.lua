--- An error in the handler of an error in a handler.
-- ends: answers
return function(req)
  local function again(e) error(e) end
  return tostring(xpcall(function() xpcall(error, again) error "x" end, again))
end
