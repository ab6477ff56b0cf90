--- A search whose steps a subject of 8 MB makes many: one call of C.
-- ends: script_burst
return function(req)
  local s = ("a"):rep(8e6)
  return tostring(s:find "a-a-a-b")
end
