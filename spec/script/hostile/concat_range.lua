--- A range of two billion elements that are not there.
-- ends: raises invalid value
return function(req)
  return table.concat({}, "", 1, 2 ^ 31 - 1)
end
