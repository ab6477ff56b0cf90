--- A loop without end that is no loop statement.
-- ends: script_burst
return function(req)
  ::again::
  goto again
end
