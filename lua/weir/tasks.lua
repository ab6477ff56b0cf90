--- Waiting, background work, and calls side by side.
local composition = require "weir.core.composition"
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local one_duration = schema.new("sleep", { time = schema.duration { required = true } },
  { positional = "time" })

--- Waits. Returns true, or `nil, err` when the deadline came first.
---@async
---@param time string|number
---@return true?
---@return weir.Error?
function M.sleep(time)
  local o = one_duration:check(time)
  return core.sleep(o.time)
end

--- Seconds left until the ambient deadline, or nil without one.
---@return number?
function M.remaining()
  local ns = core.remaining()
  return ns and ns / 1e9
end

local function check_function(name, fn)
  if type(fn) ~= "function" then
    error(("%s: takes a function, not a %s"):format(name, type(fn)), 3)
  end
end

--- Runs `fn` in the background, beyond the end of the request that started it, with no deadline but
--- those it sets itself. At load: as soon as the generation is live. What it raises is logged.
---@param fn async fun()
---@return true?
---@return weir.Error?
function M.spawn(fn)
  check_function("weir.spawn", fn)
  if not core.is_loading() then return core.spawn(fn) end
  core.job("spawn", core.where(), 0, fn)
  return true
end

local every_options = schema.new("every", {
  interval = schema.duration { required = true, min = "1ms", doc = "From start to start." },
  name = schema.string { min = 1, max = 127,
    doc = "For logs; of a singleton, what its schedule is kept under." },
  singleton = schema.boolean { default = false,
    doc = "One worker at a time runs it, instead of each." },
}, { positional = "interval" })

local singletons = {} -- the names that are taken

local function declare_lease(o)
  if not o.name then
    error("every: a singleton needs a name, under which reloads and other workers find its "
      .. 'schedule: { singleton = true, name = "…" }', 3)
  end
  if singletons[o.name] then
    error(("every: singleton '%s' is declared twice"):format(o.name), 3)
  end
  singletons[o.name] = true
  local lease, message = core.lease(o.name, o)
  if not lease then error(("every: singleton '%s': %s"):format(o.name, message), 3) end
  return lease
end

--- Runs `fn` every `interval` in each worker, as long as the generation is live. A run that takes
--- longer delays the next; runs never overlap. What it raises is logged and does not stop the next
--- run. A singleton is run by one worker at a time, whatever is reloaded and whoever dies; its
--- function gets a number that grows with each run.
---@param interval string|number|table   Or { interval = "1s", name = "poll" }.
---@param options table|async fun(token: integer?)   May be left out.
---@param fn async fun(token: integer?)?
function M.every(interval, options, fn)
  if fn == nil then options, fn = nil, options end
  local given = interval
  if options ~= nil then
    given = type(interval) ~= "table" and type(options) == "table" and { interval = interval }
    if not given then error("every: it takes an interval, a table of options and a function", 2) end
    for key, value in pairs(options) do given[key] = value end
  end
  local o = every_options:check(given)
  check_function("weir.every", fn)
  local place = core.where()
  core.job(o.name or place, place, o.interval, fn, o.singleton and declare_lease(o) or nil)
  composition.declare("job", o.name, o)
end

local function check_functions(name, functions)
  if type(functions) ~= "table" or next(functions) == nil then
    error(("%s: give a table of functions"):format(name), 3)
  end
  for key, fn in pairs(functions) do
    if type(fn) ~= "function" then
      error(("%s: element '%s' is a %s, not a function"):format(name, tostring(key), type(fn)), 3)
    end
  end
end

--- Runs all functions side by side; the first result that is not nil wins and the others are
--- cancelled. When none has one: `nil` and the error of the last to fail.
---@async
---@param functions (async fun(): any, weir.Error?)[]
---@return any
---@return weir.Error?
function M.race(functions)
  check_functions("weir.race", functions)
  return core.race(functions)
end

--- Runs all functions side by side and returns their results under their keys. The first that fails
--- (nil, or raises) cancels the others and its error is returned.
---@async
---@param functions table<any, async fun(): any, weir.Error?>
---@return table?
---@return weir.Error?
function M.all(functions)
  check_functions("weir.all", functions)
  return core.all(functions)
end

return M
