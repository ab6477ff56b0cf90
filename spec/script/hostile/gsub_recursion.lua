--- A replacement that replaces.
-- ends: raises stack overflow, script_burst
return function(req)
  local function again() return (("x"):gsub("x", again)) end
  again()
end
