--- Coroutines in coroutines crash LuaJIT: policies get none.
-- ends: raises coroutine
return function(req)
  local function again() coroutine.wrap(again)() end
  again()
end
