--- A move over the whole range of integers.
-- ends: script_burst, raises .
return function(req)
  return table.move({}, 1, 2 ^ 31 - 1, 2)
end
