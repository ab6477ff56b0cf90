--- Twenty lazy captures over thirty kilobytes: nginx hangs for ever, HAProxy dies.
-- ends: raises pattern too complex, script_burst
return function(req)
  return tostring(("a"):rep(30000):match(("(.-)"):rep(20) .. "b"))
end
