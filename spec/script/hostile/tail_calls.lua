--- Mutual tail calls: a loop that needs no stack.
-- ends: script_burst
return function(req)
  local a, b
  function a() return b() end
  function b() return a() end
  return a()
end
