--- The layers of time and of failure: deadline, timeout, retry, breaker, bulkhead. How a layer is
--- built: `weir.layer`.
local core = require "weir.core"
local health = require "weir.health"
local keys = require "weir.keys"
local layer = require "weir.layer"
local schema = require "weir.schema"

local declared = layer.declared

local M = {}

-- A frame of time. Deadline and timeout differ in the word that their expiry bears.
local function framed(limit, is_timeout)
  local step = { limit = limit, is_timeout = is_timeout }
  return function(...) return step end -- luacheck: ignore 212
end

local deadline_options = schema.new("deadline", {
  total = schema.duration { required = true, min = "1ms", doc = "Limit of the whole call." },
}, { positional = "total" })

--- Bounds a whole call, retries included: `weir.deadline "2s"`. What the request's own deadline
--- leaves bounds it further. On expiry whatever is under way is cancelled and the call returns
--- `nil, {kind = "deadline"}`.
---@param options string|number|table
---@return weir.Layer
function M.deadline(options)
  local o = deadline_options:check(options)
  return layer.new("deadline", o, framed(o.total, false), true)
end

local timeout_options = schema.new("timeout", {
  limit = schema.duration { required = true, min = "1ms", doc = "Limit of one attempt." },
}, { positional = "limit" })

--- Bounds one attempt, up to its response head: `weir.timeout "800ms"`. Put it inside retry.
---@param options string|number|table
---@return weir.Layer
function M.timeout(options)
  local o = timeout_options:check(options)
  return layer.new("timeout", o, framed(o.limit, true), true)
end

local retry_options = schema.new("retry", {
  max = schema.integer { min = 0, max = 100, default = 2, doc = "Attempts after the first." },
  backoff = schema.string { default = "50ms..1s", doc = "First pause and longest pause." },
  factor = schema.number { min = 1, max = 100, default = 2, doc = "Growth of the pause." },
  jitter = schema.enum { "full", "none", "equal", "decorrelated", "ratio", "smooth",
    default = "full",
    doc = "How the pause is spread." },
  ratio = schema.ratio { default = 0.5, doc = "Spread of jitter = \"ratio\"." },
  on = schema.list(schema.any(), { doc = "Error kinds and statuses worth another attempt." }),
  min_attempt = schema.duration { default = "10ms",
    doc = "An attempt with less time than this is not started." },
  budget = schema.either { schema.boolean(), schema.table(),
    doc = "Share of calls that may be retried: {ratio, min, span}; false for none." },
}, { positional = "max" })

local budget_options = schema.new("retry budget", {
  ratio = schema.number { min = 0, max = 10, default = 0.2, doc = "Extra attempts per call." },
  min = schema.integer { min = 0, max = 100000, default = 3,
    doc = "Extra attempts that need no calls." },
  span = schema.duration { min = "1s", max = "10m", default = "10s",
    doc = "What is looked back on." },
})

M.budget_options = budget_options

local function split_backoff(text, place)
  local from, to = text:match "^([%w.]+)%.%.([%w.]+)$"
  local base, cap = core.duration(from or text), core.duration(to or text)
  if not base or not cap or cap < base then
    error(("%s: retry: backoff is '%s'; it must be two durations like \"50ms..1s\"")
      :format(place, text), 0)
  end
  return base, cap
end

--- Repeats a failed attempt when that can do no harm, pauses between attempts, and never more than
--- the budget allows: `weir.retry { max = 2, backoff = "50ms..1s" }`. Retry-After of the upstream
--- is a floor for the pause. The budget is shared by all workers under the policy's name.
---@param options number|table?
---@return weir.Layer
function M.retry(options)
  local o = retry_options:check(options or {})
  if type(options) == "table" and options.ratio and o.jitter ~= "ratio" then
    error(("retry: ratio goes with jitter = \"ratio\", and jitter is %q"):format(o.jitter), 2)
  end
  local made = layer.new("retry", o, nil, true)
  o.base, o.cap = split_backoff(o.backoff, made.place)
  local budget_given = o.budget
  if budget_given == true or budget_given == nil then budget_given = {} end
  local budget = budget_given and budget_options:check(budget_given)
  o.shared_budget = budget -- for a hedge inside, which spends from the same
  made.wrap = function(name, _, place)
    local budget_handle = budget and declared("retry budget", place, core.budget(name, budget))
    return { retry = declared("retry", place, core.retry(name, o, budget_handle)) }
  end
  return made
end

local breaker_options = schema.new("breaker", {
  failure_rate = schema.ratio { default = 0.5, doc = "Opens at this share of failures; 0 is off." },
  window = schema.duration { min = "1s", max = "1h", default = "10s",
    doc = "What is looked back on." },
  window_calls = schema.integer { min = 1, max = 1024,
    doc = "Look back on calls instead of time." },
  min_calls = schema.integer { min = 1, max = 1000000, default = 20,
    doc = "The rates mean nothing below this many calls." },
  consecutive = schema.integer { min = 0, max = 1000000, default = 0,
    doc = "Opens after this many failures in a row; 0 is off." },
  slow_call = schema.duration { default = 0, doc = "A call this long is slow; 0 is off." },
  slow_rate = schema.ratio { default = 0, doc = "Opens at this share of slow calls; 0 is off." },
  open = schema.duration { min = "10ms", max = "1h", default = "5s",
    doc = "First time it stays open; doubles with each trip." },
  open_max = schema.duration { min = "10ms", max = "24h", default = "60s",
    doc = "Bound of the doubling." },
  jitter = schema.ratio { doc = "Spread of the open time, up and down." },
  probes = schema.integer { min = 1, max = 16, default = 3,
    doc = "Calls at once, and verdicts needed, while half-open." },
  attempt_timeout = schema.duration { doc = "How long the calls behind it may take." },
  health = schema.string { min = 1, max = 127,
    doc = "A health check: while it is down, the breaker is open." },
  ramp = schema.duration { doc = "Time over which traffic comes back after a recovery." },
  mode = schema.enum { "normal", "forced_open", "forced_closed", "disabled", "shadow",
    default = "normal", doc = "What it does with its verdict." },
  name = schema.string { min = 1, max = 127, doc = "A breaker shared by several policies." },
})

-- What was said and cannot both hold.
local function check_breaker(o, given)
  if given.window and given.window_calls then
    error("breaker: give window or window_calls, not both", 3)
  end
  if given.open_max and o.open_max < o.open then
    error(("breaker: open_max is %s, less than open, %s: it bounds what open grows to")
      :format(given.open_max, given.open or "5s"), 3)
  end
end

--- Stops calling what keeps failing: `weir.breaker { failure_rate = 0.5, window = "10s" }`. State
--- is kept by name, shared by all workers, and lives through reloads. Refusals are
--- `nil, {kind = "refused", primitive = "breaker", after = seconds}`.
---@param options table?
---@return weir.Layer
function M.breaker(options)
  local o = breaker_options:check(options or {})
  check_breaker(o, options or {})
  o.health_handle = o.health and health.find(o.health, "breaker", core.where())
  return layer.new("breaker", o, function(name, _, place)
    return { handle = declared("breaker", place, core.breaker(o.name or name, o)) }
  end, true)
end

local bulkhead_options = schema.new("bulkhead", {
  max = schema.integer { min = 1, max = 1000000, default = 64,
    doc = "Calls at once, for each key." },
  queue = schema.integer { min = 0, max = 65536, default = 32,
    doc = "Calls that may wait, for each key." },
  key = keys.option,
  max_keys = schema.integer { min = 1, max = 65536, default = 4096,
    doc = "Keys inside at once; beyond, some share a room." },
  wait = schema.duration { max = "1h", default = "50ms", doc = "Longest wait." },
  order = schema.enum { "fifo", "adaptive", default = "fifo",
    doc = "Who is next: the oldest, or in overload the newest." },
  mode = layer.mode,
  name = schema.string { min = 1, max = 127, doc = "A pool shared by several policies." },
}, { positional = "max" })

--- Bounds the calls in flight, with a bounded queue before them: `weir.bulkhead { max = 64 }`, for
--- all callers together or, with `key`, for each tenant, client or whatever a function says. A
--- slot is held to the last byte of the response. Refusals are
--- `nil, {kind = "refused", primitive = "bulkhead"}`.
---@param options number|table?
---@return weir.Layer
function M.bulkhead(options)
  local o = bulkhead_options:check(options or {})
  keys.check(o, options, "bulkhead")
  if not o.key then o.max_keys = nil end
  local made = layer.new("bulkhead", o, nil, o.key == nil)
  local key_of = o.key and keys.resolver(o.key, made.place)
  made.wrap = function(name, run, place)
    local handle = declared("bulkhead", place, core.bulkhead(o.name or name, o))
    return key_of and layer.guarded(handle, run, name, key_of) or { handle = handle }
  end
  return made
end

return M
