--- A hundred million results.
-- ends: raises too many results
return function(req)
  return unpack({}, 1, 1e8)
end
