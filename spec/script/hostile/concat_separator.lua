--- A separator of a megabyte.
-- ends: raises script_string
return function(req)
  return table.concat({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, ("x"):rep(1e6))
end
