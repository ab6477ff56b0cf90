--- busted output handler: failures in full as they happen, one summary line per run.
---
--- The last line is `N passed, N failed`, which CI reads. Pending specs count as failed: a skipped
--- spec would hide what it should prove.
-- The sanitizer is preloaded for the library under test. Programs that specs start must not inherit
-- that: those of weir bring their own, and others (ps, curl) may hang under it.
local ffi = require "ffi"
ffi.cdef "int unsetenv(const char *name);"
ffi.C.unsetenv "LD_PRELOAD"

return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()

  local function place(element)
    local trace = element.trace or {}
    return (trace.short_src or "?") .. ":" .. (trace.currentline or 0)
  end

  local function report(kind, item)
    io.stdout:write(("%s  %s\n      %s\n"):format(kind, item.name or "?", place(item.element)))
    local message = item.message
    if type(message) ~= "string" then message = require("pl.pretty").write(message or "") end
    io.stdout:write("      " .. message:gsub("\n", "\n      ") .. "\n")
    if options.verbose and item.trace and item.trace.traceback then
      io.stdout:write(item.trace.traceback .. "\n")
    end
    io.stdout:flush()
  end

  handler.testFailure = function(_, _, _)
    report("FAIL ", handler.failures[#handler.failures])
    return nil, true
  end
  handler.testError = function(_, _, _)
    report("ERROR", handler.errors[#handler.errors])
    return nil, true
  end

  handler.suiteEnd = function()
    for _, item in ipairs(handler.pendings) do report("PEND ", item) end
    local failed = handler.failuresCount + handler.errorsCount + handler.pendingsCount
    io.stdout:write(("%d passed, %d failed\n"):format(handler.successesCount, failed))
    io.stdout:flush()
    return nil, true
  end

  busted.subscribe({ "suite", "end" }, handler.suiteEnd)
  busted.subscribe({ "failure", "it" }, handler.testFailure)
  busted.subscribe({ "error", "it" }, handler.testError)
  busted.subscribe({ "error" }, function(element, _, message)
    if element.descriptor ~= "it" then
      io.stdout:write(("ERROR %s: %s\n"):format(element.name or element.descriptor,
        tostring(message)))
    end
    return nil, true
  end)
  return handler
end
