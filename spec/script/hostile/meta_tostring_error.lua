--- An error object that takes for ever to print: weir must not call it.
-- ends: raises raised a table without a message
local function spin() while true do end end
return function()
  error(setmetatable({}, { __tostring = spin }))
end
