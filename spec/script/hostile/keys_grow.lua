--- A table of ever new strings as keys.
-- ends: script_burst, script_growth, script_memory
return function(req)
  local t, n = {}, 0
  while true do
    n = n + 1
    t["key" .. n] = n
  end
end
