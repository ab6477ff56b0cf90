--- busted output handler: failures in full as they happen, one summary line per run.
---
--- The last line is `N passed, N failed`, which CI reads. Pending specs count as failed: a skipped
--- spec would hide what it should prove.
-- Debian's LuaJIT computes wrong results with its compiler on (DESIGN 9), endless loops included.
jit.off()

-- The sanitizer is preloaded for the library under test. Programs that specs start must not inherit
-- that: those of weir bring their own, and others (ps, curl) may hang under it.
local ffi = require "ffi"
local wait = require "spec.support.wait"
ffi.cdef "int unsetenv(const char *name);"
ffi.C.unsetenv "LD_PRELOAD"

-- A spec's globals are looked up through its describes up to the suite, which was much of the time
-- of unit specs. Those that are everybody's are found at once this way.
local function find_at_once(file)
  local run = file.run
  local env = getfenv((debug.getmetatable(run) or {}).__call or run)
  for name in pairs(_G) do rawset(env, name, env[name]) end
  return nil, true
end

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

  -- WEIR_TEST_TIMES names a file that gets a line for each spec and each file: seconds, name.
  local times = os.getenv "WEIR_TEST_TIMES" and assert(io.open(os.getenv "WEIR_TEST_TIMES", "a"))
  local begun = {}
  local function begin(element)
    begun[element] = wait.now()
    return nil, true
  end
  local function finish(element)
    times:write(("%8.3f  %s  %s\n"):format(wait.now() - begun[element],
      element.descriptor == "it" and place(element) or "file", element.name))
    times:flush()
    return nil, true
  end
  for _, kind in ipairs(times and { "test", "file" } or {}) do
    busted.subscribe({ kind, "start" }, begin)
    busted.subscribe({ kind, "end" }, finish)
  end

  busted.subscribe({ "file", "start" }, find_at_once)
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
