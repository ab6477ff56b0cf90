--- One that catches its own interruption.
-- stage: load
-- says: script_load_time
while true do pcall(function() while true do end end) end -- HERE
