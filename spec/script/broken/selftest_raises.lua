--- A test of its own whose scripted upstream raises.
-- stage: selftest
-- says: selftest 'calls': in the answer
local weir = require "weir"
weir.selftest("calls", function(t)
  t:upstream("http://10.0.0.1", function()
    error "in the answer" -- HERE
  end)
  weir.http.get "http://10.0.0.1/"
end)
