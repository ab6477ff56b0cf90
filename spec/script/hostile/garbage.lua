--- Nothing is kept, but a lot is made.
-- ends: script_burst, script_budget
return function(req)
  while true do local t = { {}, {}, {} } t[4] = t end
end
