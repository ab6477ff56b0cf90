--- Errors that raise errors.
-- ends: raises stack overflow, raises x, script_burst
return function(req)
  local function again() local ok = pcall(again) error(ok and "y" or "x") end
  again()
end
