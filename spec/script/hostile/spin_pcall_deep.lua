--- Spins at the bottom of a hundred protected calls.
-- ends: script_burst
return function(req)
  local function down(n)
    if n == 0 then while true do end end
    while true do pcall(down, n - 1) end
  end
  down(99)
end
