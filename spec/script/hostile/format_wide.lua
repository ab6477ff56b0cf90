--- A number with a hundred million blanks.
-- ends: raises invalid
return function(req)
  return ("%99999999d"):format(1)
end
