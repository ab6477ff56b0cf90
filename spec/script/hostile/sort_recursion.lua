--- A comparator that sorts.
-- ends: raises stack overflow, script_burst
return function(req)
  local function again() table.sort({ 2, 1 }, again) return true end
  again()
end
