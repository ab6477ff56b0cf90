--- Recursion through pcall: at the end of the stack the hook cannot be called.
-- ends: script_burst
return function(req)
  local function again(n) while true do pcall(again, n) end end
  again(1)
end
