--- __index that reads another missing field, for ever.
-- ends: raises stack overflow, script_burst, script_growth, script_memory
return function(req)
  local t = setmetatable({}, { __index = function(t, k) return t[k .. "x"] end })
  return t.x
end
