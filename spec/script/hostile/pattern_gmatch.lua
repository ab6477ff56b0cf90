--- An iterator over a megabyte of matches that nobody stops.
-- ends: script_burst
return function(req)
  local n = 0
  while true do for _ in (("ab"):rep(5e5)):gmatch "%a" do n = n + 1 end end
end
