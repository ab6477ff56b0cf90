--- A comparator that raises half-way.
-- ends: raises attempt to compare
return function(req)
  table.sort { 1, 2, {} }
end
