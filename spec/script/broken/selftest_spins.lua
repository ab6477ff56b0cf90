--- A test of its own that computes for ever and catches what would end it.
-- stage: selftest
-- says: selftest 'spins': ran longer than script_burst allows (50ms) without waiting
local weir = require "weir"
weir.selftest("spins", function()
  while true do pcall(function() while true do end end) end -- HERE
end)
