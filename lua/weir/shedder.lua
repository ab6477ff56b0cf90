--- Shedding load: the least important calls first.
local composition = require "weir.core.composition"
local core = require "weir.core"
local layer = require "weir.layer"
local schema = require "weir.schema"

local M = {}

--- The words for a priority, the most important first.
M.priorities = { "critical", "high", "normal", "low", "background" }

local known = {}
for _, word in ipairs(M.priorities) do known[word] = true end

local lag = schema.duration { min = "1ms",
  doc = "Overloaded when this worker's loop comes so late to its timers." }
local memory = schema.either {
  schema.string { pattern = "^%d+%.?%d*%%$", what = "a share like \"90%\"" }, schema.size(),
  doc = "Overloaded when all processes hold so much; a share is of the machine's or cgroup's." }
local in_flight = schema.integer { min = 1, max = 1000000,
  doc = "Overloaded when all workers serve so many requests at once." }

local adaptive_options = schema.new("adaptive limit", {
  rule = schema.enum { "aimd", "vegas", "gradient2", required = true,
    doc = "How it learns; may be the table's first element." },
  min = schema.integer { min = 1, max = 1000000, default = 1, doc = "Never below." },
  max = schema.integer { min = 1, max = 1000000, default = 1000, doc = "Never above." },
  initial = schema.integer { min = 1, max = 1000000, default = 20,
    doc = "Where it begins; the default is moved to between min and max." },
  window = schema.duration { min = "10ms", max = "1m", default = "1s",
    doc = "How often it moves, after at least 10 results." },
}, { positional = "rule" })

local shedder_options = schema.new("shedder", {
  limit = schema.either { schema.integer { min = 1, max = 1000000 }, schema.string(),
    schema.table(), default = 256,
    doc = "Calls at once: a number, or { \"vegas\", min = …, max = … } to learn it." },
  queue = schema.integer { min = 0, max = 65536, default = 64, doc = "Calls that may wait." },
  wait = schema.duration { max = "1h", default = "100ms", doc = "Longest wait." },
  max_healthy_latency = schema.duration { default = "5s",
    doc = "A learnt limit shrinks while calls take longer on average; 0 is off." },
  lag = lag, memory = memory, in_flight = in_flight, mode = layer.mode,
  name = schema.string { min = 1, max = 127, doc = "A shedder shared by several policies." },
}, { positional = "limit" })

-- What C takes for `memory`.
local function put_memory(o)
  if type(o.memory) ~= "string" then
    o.memory_bytes = o.memory
    return
  end
  local percent = tonumber(o.memory:sub(1, -2))
  if percent <= 0 or percent > 100 then
    error(("memory is '%s'; it must be over 0%% and at most 100%%"):format(o.memory), 4)
  end
  o.memory_share = percent / 100
end

-- What C takes for `limit`.
local function put_limit(o)
  local limit = o.limit
  if type(limit) == "number" then
    o.rule, o.min, o.max, o.initial = "fixed", 1, limit, limit
    return
  end
  local given = limit
  if type(limit) == "table" then
    given = {}
    for key, value in pairs(limit) do given[key == 1 and "rule" or key] = value end
  end
  local rule = adaptive_options:check(given, 4)
  if rule.min > rule.max then
    error(("adaptive limit: min is %d, above max, %d"):format(rule.min, rule.max), 4)
  end
  if not given.initial then rule.initial = math.min(math.max(rule.initial, rule.min), rule.max) end
  if rule.initial < rule.min or rule.initial > rule.max then
    error(("adaptive limit: initial is %d; it must be from min to max, %d to %d")
      :format(rule.initial, rule.min, rule.max), 4)
  end
  for key, value in pairs(rule) do o[key] = value end
end

--- Bounds the calls in flight by a limit, fixed or learnt, with a queue in which the more important
--- calls go first: `weir.shedder { limit = { "vegas", max = 200 }, queue = 64 }`. A full queue
--- drops a less important call for a more important one. A slot is held to the last byte of the
--- response. State is shared by all workers. Refusals are
--- `nil, {kind = "shed", primitive = "shedder"}`.
---@param options integer|string|table?
---@return weir.Layer
function M.layer(options)
  local o = shedder_options:check(options or {})
  put_limit(o)
  put_memory(o)
  return layer.new("shedder", o, function(name, _, place)
    return { handle = layer.declared("shedder", place, core.shedder(o.name or name, o)) }
  end, true)
end

local overload_options = schema.new("overload", {
  lag = lag, memory = memory, in_flight = in_flight, mode = layer.mode,
})

--- Sheds requests before any handler runs while the process is overloaded, by their priority, the
--- least important first: `weir.overload { lag = "50ms", memory = "90%" }`. Critical ones and
--- routes with `exempt = true` are served always. Once, at the top level.
---@param options table
function M.overload(options)
  local o = overload_options:check(options)
  put_memory(o)
  local ok, message = core.overload(o)
  if not ok then error("overload: " .. message, 2) end
  composition.declare("overload", nil, o)
end

--- The priority of the running task; with a word, after it was set to that. Calls and child tasks
--- that begin from then on have it.
---@param word string?
---@return string
function M.priority(word)
  if word ~= nil and not known[word] then
    error(("priority: there is no '%s'%s"):format(tostring(word), schema.hint(word, known)), 2)
  end
  return core.priority(word)
end

return M
