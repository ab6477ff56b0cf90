--- The hedge: a second attempt beside a slow one, and whichever is acceptable first.
local core = require "weir.core"
local layer = require "weir.layer"
local layers = require "weir.layers"
local schema = require "weir.schema"

local M = {}

local hedge_options = schema.new("hedge", {
  delay = schema.duration { min = "1ms", max = "1h",
    doc = "A call this slow is hedged. Instead of percentile." },
  percentile = schema.number { min = 0.5, max = 0.9999,
    doc = "Live: a call slower than this share of the calls is hedged." },
  max_extra_load = schema.number { min = 0.0001, max = 1,
    doc = "Hedges per call, a hard bound; alone, the percentile is 1 less this." },
  max = schema.integer { min = 1, max = 10, default = 1, doc = "Hedges of one call." },
  min_delay = schema.duration { min = 0, max = "1h", default = "1ms",
    doc = "A percentile below this counts as this." },
  window = schema.duration { min = "1s", max = "1h", default = "30s",
    doc = "What is looked back on." },
  min_calls = schema.integer { min = 1, max = 1000000, default = 20,
    doc = "With fewer calls in the window there is no percentile." },
  on = schema.list(schema.any(), {
    doc = "Error kinds and statuses that are not acceptable; as of retry." }),
  budget = schema.either { schema.boolean(), schema.table(),
    doc = "The retry budget of the policy pays: {ratio, min, span}; false for none." },
  name = schema.string { min = 1, max = 127, doc = "A hedge shared by several policies." },
})

local function check(options)
  local o = hedge_options:check(options or {}, 3)
  if o.delay and o.percentile then error("hedge: give delay or percentile, not both", 3) end
  if not o.delay and not o.percentile and not o.max_extra_load then o.max_extra_load = 0.05 end
  if type(o.budget) == "table" then o.own_budget = layers.budget_options:check(o.budget, 3) end
  return o
end

-- The budget of the policy's retry layer, if it has one, else one of the hedge's own. A retry
-- without budget leaves the hedge one: it was asked for unbounded retries, not for unbounded load.
local function find_budget(o, list)
  for _, other in ipairs(list) do
    if other.kind == "retry" and other.options.shared_budget then
      return other.options.shared_budget, false
    end
  end
  return o.own_budget or layers.budget_options:check({}), true
end

--- Starts a second attempt when the first is slow, or fails: `weir.hedge { max_extra_load = 0.05
--- }`. The first acceptable answer is returned and the other attempt cancelled. Only what may be
--- sent twice is hedged; the attempts try different endpoints. The function of the call may run
--- several times side by side. Put it inside retry and outside the breaker.
---@param options table?
---@return weir.Layer
function M.layer(options)
  local o = check(options)
  return layer.new("hedge", o, function(name, run, place, list)
    local entry = layer.declared("hedge", place, core.hedge(o.name or name, o))
    local budget, deposits
    if o.budget ~= false then
      local config
      config, deposits = find_budget(o, list)
      budget = layer.declared("retry budget", place, core.budget(name, config))
    end
    local handle = layer.declared("hedge", place, core.hedge_layer(entry, o, budget, deposits))
    local call = core.hedge_call
    return function(fn)
      local value, err, raised = call(handle, run, fn)
      if raised then error(raised, 0) end
      return value, err
    end
  end)
end

return M
