--- A table inside a table, for ever.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local t = {}
  while true do t = { t } end
end
