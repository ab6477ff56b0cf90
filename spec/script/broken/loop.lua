--- A loop without end.
-- stage: load
-- says: script_load_time
while true do end -- HERE
