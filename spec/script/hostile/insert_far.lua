--- An insertion two billion places before the list.
-- ends: raises position out of bounds
return function(req)
  table.insert({}, -2 ^ 31, 1)
end
