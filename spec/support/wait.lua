--- Waits for facts, never for a length of time: the only way specs pass time.
---
---     local wait = require "spec.support.wait"
---     wait.for_("the listener to be open", function() return try_connect(port) end)
---
--- The time limit exists to fail a broken run, not to tune a good one: leave it generous.
local ffi = require "ffi"

ffi.cdef [[
  struct spec_timespec { long sec; long nsec; };
  int clock_gettime(int clock, struct spec_timespec *out);
  int usleep(unsigned us);
]]

local wait = {}

local CLOCK_MONOTONIC = 1
local now_out = ffi.new "struct spec_timespec"

--- Monotonic seconds.
function wait.now()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, now_out)
  return tonumber(now_out.sec) + tonumber(now_out.nsec) / 1e9
end

--- Lets `ms` milliseconds pass: for pacing input in pieces; not for hoping that something has
--- happened.
function wait.pause(ms)
  ffi.C.usleep(ms * 1000)
end

--- Asks `condition` again and again (1 ms apart at first, then up to 20 ms) until it returns a true
--- value, which is returned with what follows it. After `timeout` seconds (10) raises, naming
--- `what` and the second value that a false answer came with.
function wait.for_(what, condition, timeout)
  local deadline = wait.now() + (timeout or 10)
  local ms = 1
  while true do
    local a, b, c = condition()
    if a then return a, b, c end
    if wait.now() > deadline then
      local seen = b ~= nil and (" (last: " .. tostring(b) .. ")") or ""
      error(("waited %g s in vain for %s%s"):format(timeout or 10, what, seen), 2)
    end
    wait.pause(ms)
    ms = math.min(ms * 2, 20)
  end
end

return wait
