--- Chaos: an experiment that disturbs a share of the calls, to see what the policies around it do.
local core = require "weir.core"
local layer = require "weir.layer"
local schema = require "weir.schema"

local M = {}

local window = schema.new("chaos schedule", {
  from = schema.duration { required = true, doc = "After it was applied." },
  to = schema.duration { required = true, doc = "After it was applied." },
})

local guard_options = schema.new("chaos guard", {
  failure_rate = schema.ratio { default = 0.5,
    doc = "Ends the experiment at this share of failed requests (5xx, broken)." },
  window = schema.duration { min = "1s", max = "1h", default = "30s",
    doc = "What is looked back on." },
  min_calls = schema.integer { min = 1, max = 1000000, default = 20,
    doc = "The share means nothing below this many requests." },
})

local chaos_options = schema.new("chaos", {
  name = schema.string { min = 1, max = 127, doc = "Of the experiment; the policy's by default." },
  probability = schema.ratio { default = 0.01, doc = "Share of the calls that are hit." },
  expires = schema.duration { required = true, min = "1s", max = "24h",
    doc = "Longest time that it may be applied for." },
  latency = schema.duration { max = "1h", doc = "Delay before the call." },
  variance = schema.duration { max = "1h", doc = "The delay varies by so much, up and down." },
  error = schema.enum { "timeout", "connect", "dns", "tls", "reset", "protocol",
    doc = "The call is not made and fails with this kind." },
  status = schema.integer { min = 400, max = 599, doc = "The call is not made: this status." },
  reset = schema.boolean {
    doc = "The call is made, its response head is lost: kind reset, and it may have happened." },
  hangup = schema.boolean { doc = "The call is not made: the client's connection is reset." },
  truncate = schema.size { doc = "The body is cut after so many bytes, or one before its end." },
  drip = schema.size { min = 1, doc = "The body comes with so many bytes a second." },
  match = schema.func { doc = "function(req): only requests for which it returns true." },
  schedule = schema.list(window, { max = 8, doc = "Only in these windows of its time." }),
  guard = schema.either { schema.boolean(), schema.table(),
    doc = "Ends it when requests fail: {failure_rate, window, min_calls}; false for none." },
})

local effects = { "latency", "error", "status", "reset", "hangup", "truncate", "drip" }

local function has_effect(o)
  for _, key in ipairs(effects) do
    if o[key] then return true end
  end
end

-- A call can end in one way only.
local function check_ends(o)
  local found
  for _, key in ipairs { "error", "status", "reset", "hangup" } do
    if o[key] then
      if found then error(("chaos: give %s or %s, not both"):format(found, key), 3) end
      found = key
    end
  end
end

-- What C decides with: the guard as plain numbers.
local function settings(o)
  local guard = o.guard == false and { failure_rate = 0 }
    or guard_options:check(type(o.guard) == "table" and o.guard or {})
  return { probability = o.probability, latency = o.latency, variance = o.variance,
    expires = o.expires, windows = o.schedule, guard_rate = guard.failure_rate,
    guard_window = guard.window, guard_min_calls = guard.min_calls }
end

-- The call as the experiment has it.
local function disturbed(name, o, run, fn)
  if o.error then return core.chaos_error(name, o.error) end
  if o.hangup then return core.chaos_hangup() end
  if o.status then return core.chaos_status(name, o.status) end
  local value, err = run(fn)
  if value == nil or not core.is_response(value) then return value, err end
  if o.reset then return core.chaos_lose(name, value) end
  if o.truncate or o.drip then return core.chaos_disturb(value, o.truncate, o.drip) end
  return value, err
end

local function around(name, handle, o, run)
  return function(fn)
    if not core.chaos_armed(handle) then return run(fn) end
    if o.match then
      local req = core.current_request()
      if not req or not o.match(req) then return run(fn) end
    end
    local delay = core.chaos_draw(handle)
    if not delay then return run(fn) end
    if delay > 0 then
      local ok, expired = core.sleep(delay)
      if not ok then return nil, expired end
    end
    return disturbed(name, o, run, fn)
  end
end

---@class weir.Chaos : weir.Layer
local Chaos = {}
Chaos.__index = Chaos

local function handle_of(self)
  return self.handle or error("chaos: this experiment is in no policy yet", 3)
end

local apply_options = schema.new("chaos apply", {
  time = schema.duration { min = "1s", max = "24h", doc = "How long; its `expires` by default." },
}, { positional = "time" })

--- Starts the experiment, for `time` at most. `nil, err` (kind "refused") unless weir was started
--- with --allow-chaos.
---@param time string|number?
---@return true?
---@return weir.Error?
function Chaos:apply(time)
  local handle = handle_of(self)
  local o = apply_options:check(time)
  return core.chaos_apply(handle, o.time)
end

--- Ends the experiment. False when it was not applied.
---@return boolean
function Chaos:rollback()
  return core.chaos_rollback(handle_of(self))
end

--- Whether it is applied now.
---@return boolean
function Chaos:is_armed()
  return core.chaos_armed(handle_of(self))
end

--- An experiment, innermost in a policy: `weir.chaos { expires = "10m", probability = 0.1, status =
--- 503 }`. Off until it is applied (`weir chaos apply NAME`, or `:apply()`), off again after its
--- time, or when its guard sees too many requests fail. Which calls are hit follows from the
--- request's id, so the same request meets the same faults everywhere.
---@param options table
---@return weir.Chaos
function M.layer(options)
  local o = chaos_options:check(options)
  if not has_effect(o) then
    error("chaos: give at least one of " .. table.concat(effects, ", "), 2)
  end
  check_ends(o)
  local made = setmetatable(layer.new("chaos", o), Chaos)
  made.wrap = function(policy, run, place)
    if made.handle and not o.name then
      error(("%s: chaos: this experiment is in two policies: give it a name"):format(place), 0)
    end
    local name = o.name or policy
    made.handle = layer.declared("chaos", place, core.chaos(name, settings(o)))
    return around(name, made.handle, o, run)
  end
  return made
end

return M
