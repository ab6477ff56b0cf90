--- __tostring that is tostring.
-- ends: raises stack overflow, script_burst
return function(req)
  local t = setmetatable({}, {})
  getmetatable(t).__tostring = function(v) return tostring(v) .. "x" end
  return tostring(t)
end
