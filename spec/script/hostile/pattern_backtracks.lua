--- A pattern that tries every way to split a thousand letters.
-- ends: raises pattern too complex
return function(req)
  return tostring(("a"):rep(1000):find("a-a-a-b"))
end
