--- The rate limiter: so many calls in a time, for all callers together or for each key alone.
local core = require "weir.core"
local keys = require "weir.keys"
local layer = require "weir.layer"
local schema = require "weir.schema"

local M = {}

local CALLS_MAX, COST_MAX = 1000000, 65535

local limiter_options = schema.new("limiter", {
  rate = schema.either { schema.string { min = 3, max = 40 }, schema.number { min = 0.000001 },
    required = true,
    doc = "Calls in a time: \"100/s\", \"1000/h\", \"30/10s\"; a number is per second." },
  burst = schema.integer { min = 1, max = CALLS_MAX,
    doc = "Calls at once after a rest; the rate's worth of a second, and 1 at least." },
  algorithm = schema.enum { "gcra", "sliding_window", default = "gcra",
    doc = "sliding_window: never more than the rate in any such time." },
  key = keys.option,
  max_keys = schema.integer { min = 1, max = 1048576, default = 65536,
    doc = "Keys in debt at once; beyond, some share a debt." },
  wait = schema.duration { max = "1h", default = 0, doc = "Longest wait for a call's turn." },
  cost = schema.either { schema.integer { min = 1, max = COST_MAX }, schema.func(), default = 1,
    doc = "What a call counts for: a number or a function(req)." },
  drain = schema.boolean { default = true,
    doc = "An upstream's 429 with Retry-After stops the key for so long." },
  headers = schema.boolean { default = false,
    doc = "Responses bear RateLimit and RateLimit-Policy." },
  mode = layer.mode,
  name = schema.string { min = 1, max = 127,
    doc = "A limiter shared by several policies, and called by its methods." },
}, { positional = "rate" })

local wait_options = schema.new("limiter:wait", {
  max = schema.duration { required = true, max = "1h", doc = "Longest wait." },
}, { positional = "max" })

local drain_options = schema.new("limiter:drain", {
  time = schema.duration { required = true, max = "1h", doc = "Nothing passes for so long." },
}, { positional = "time" })

-- Options in C's words: `limit` calls in `period`.

local units = { s = 1e9, m = 60e9, h = 3600e9, d = 86400e9 }

local function misfit(place, rate, bound)
  error(('%s: limiter: rate is "%s"; it must be %s'):format(place, rate, bound), 0)
end

local function read_rate(rate, place)
  if type(rate) == "number" then
    if rate % 1 == 0 then return rate, 1e9 end
    return 1, math.ceil(1e9 / rate)
  end
  local count, unit = rate:match "^(%d+)/(%w+)$"
  local period = unit and (units[unit] or core.duration(unit))
  if not period then misfit(place, rate, 'a count and a time like "100/s" or "30/10s"') end
  return tonumber(count), period
end

local function to_config(o, place)
  local limit, period = read_rate(o.rate, place)
  if limit < 1 or limit > CALLS_MAX then
    misfit(place, o.rate, ("1 to %d calls in a time"):format(CALLS_MAX))
  end
  if o.burst and o.algorithm == "sliding_window" then
    error(place .. ": limiter: burst goes with algorithm = \"gcra\" only", 0)
  end
  local burst = o.burst or math.min(CALLS_MAX, math.max(1, math.ceil(limit * 1e9 / period)))
  local is_window = o.algorithm == "sliding_window"
  local most = is_window and limit or burst
  if type(o.cost) == "number" and o.cost > most then
    error(("%s: limiter: cost is %d, above the %s of %d: no call could ever pass"):format(place,
      o.cost, is_window and "rate" or "burst", most), 0)
  end
  return { limit = limit, period = period, burst = burst, algorithm = o.algorithm, mode = o.mode,
    max_keys = o.key and o.max_keys or 0 }
end

-- What a call costs, as the policy says.
local function cost_reader(cost, place)
  if type(cost) ~= "function" then return function() return cost end end
  return function()
    local req = core.current_request()
    if not req then return 1 end -- a refresh in the background, say
    local told = cost(req)
    if type(told) == "number" and told >= 1 and told <= COST_MAX and told % 1 == 0 then
      return told
    end
    error(("%s: limiter: the function `cost` returned %s; it must be an integer from 1 to %d")
      :format(place, type(told) == "number" and tostring(told) or "a " .. type(told), COST_MAX), 0)
  end
end

local function no_key() return nil end

local function wrap(self, handle, run, policy)
  local take, heed, tell = core.limiter_take, core.limiter_heed, core.limiter_tell
  local o, key_of, cost_of = self.options, self._key, self._cost
  return function(fn)
    local key = key_of()
    local ok, refusal = take(handle, key, cost_of(), o.wait, policy)
    if o.headers then tell(handle, key) end
    if not ok then return nil, refusal end
    local value, err = run(fn)
    if o.drain and value then heed(handle, key, value) end
    return value, err
  end
end

---@class weir.Limiter: weir.Layer
local Limiter = {}
Limiter.__index = Limiter
Limiter.__tostring = function(self) return "limiter: " .. (self.options.name or "(unnamed)") end

local function handle_of(self, method)
  if self._handle then return self._handle end
  error(("limiter:%s: only a limiter with a name has methods; give it one"):format(method), 3)
end

--- Passes now or not at all: true, or `nil, err` with `err.after`. The key is by default that of
--- the current request, as the limiter's `key` says.
---@param key string?
---@param cost integer?
---@return true?
---@return weir.Error?
function Limiter:try(key, cost)
  return core.limiter_take(handle_of(self, "try"), key or self._key(), cost)
end

--- The same, after waiting for at most `max`; refuses at once when that would not be enough. First
--- come, first served. Who is cancelled while it waits has taken nothing.
---@async
---@param max string|number
---@param key string?
---@param cost integer?
---@return true?
---@return weir.Error?
function Limiter:wait(max, key, cost)
  local handle = handle_of(self, "wait")
  return core.limiter_take(handle, key or self._key(), cost, wait_options:check(max).max)
end

--- Nothing passes for so long: an upstream said so. Never shortens what was said before.
---@param time string|number
---@param key string?
function Limiter:drain(time, key)
  local handle = handle_of(self, "drain")
  core.limiter_drain(handle, key or self._key(), drain_options:check(time).time)
end

--- Bounds the calls in a time: `weir.limiter { rate = "100/s", key = "header:X-Tenant" }`. State is
--- shared by all workers, lives through reloads, and keeps its debts when the rate changes.
--- Refusals are `nil, {kind = "limited", primitive = "limiter", after = seconds}`, which is 429
--- with Retry-After.
---@param options number|string|table
---@return weir.Limiter
function M.layer(options)
  local o = limiter_options:check(options)
  keys.check(o, options, "limiter")
  local made = layer.new("limiter", o)
  local config = to_config(o, made.place)
  made._key = o.key and keys.resolver(o.key, made.place) or no_key
  made._cost = cost_reader(o.cost, made.place)
  local function declare(name, place)
    return layer.declared("limiter", place, core.limiter(name, config))
  end
  if o.name and core.is_loading() then made._handle = declare(o.name, made.place) end
  made.wrap = function(name, run, place)
    return wrap(made, made._handle or declare(name, place), run, name)
  end
  return setmetatable(made, Limiter)
end

return M
