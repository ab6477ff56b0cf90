--- A test of its own that takes memory without end.
-- stage: selftest
-- says: more memory than script_
local weir = require "weir"
weir.selftest("grows", function()
  local all = {}
  while true do all[#all + 1] = ("x"):rep(1000000) .. #all end -- HERE
end)
