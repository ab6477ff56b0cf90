--- A test of its own that does not pass.
-- stage: selftest
-- says: selftest 'greets': expected 'hello', got 'broken'
local weir = require "weir"
weir.selftest("greets", function(t)
  t:equal("hello", t:request("/").body) -- HERE
end)
