--- Metrics of a policy, shown beside weir's own on /metrics. Names should follow Prometheus: base
--- units, `_total` on counters. Label values must come from small sets; past 1,000 combinations of
--- one metric the rest is counted as "other".
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local metric_options = schema.new("metric", {
  buckets = schema.list(schema.number(), { min = 1, max = 24, doc = "Upper bounds, ascending." }),
})

local function label_text(labels)
  local names = {}
  for name in pairs(labels) do names[#names + 1] = tostring(name) end
  table.sort(names)
  local parts = {}
  for i, name in ipairs(names) do
    local value = tostring(labels[name]):gsub('[\\"]', "\\%0"):gsub("\n", "\\n")
    parts[i] = ('%s="%s"'):format(name, value)
  end
  return table.concat(parts, ",")
end

local Metric = {}
Metric.__index = Metric

-- The series of these labels; the lookup in shared memory happens once for each.
local function series_of(self, labels)
  local text = labels and label_text(labels) or ""
  local series = self._series[text]
  if not series then
    series = core.metric_series(self._family, text)
    self._series[text] = series
  end
  return series
end

local function number(value, otherwise)
  if value == nil then return otherwise end
  if type(value) ~= "number" then
    error(("metric: the value is a %s, not a number"):format(type(value)), 3)
  end
  return value
end

---@class weir.Counter
local Counter = setmetatable({}, { __index = Metric })
Counter.__index = Counter
--- Adds `by` (1), not below 0.
function Counter:inc(labels, by)
  local value = number(by, 1)
  if value < 0 then error("metric: a counter never goes down", 2) end
  core.metric_add(series_of(self, labels), value)
end

---@class weir.Gauge
local Gauge = setmetatable({}, { __index = Metric })
Gauge.__index = Gauge
--- Sets this worker's part; the parts of the workers are summed.
function Gauge:set(value, labels)
  core.metric_set(series_of(self, labels), number(value, 0))
end
--- Adds to this worker's part.
function Gauge:add(by, labels)
  core.metric_add(series_of(self, labels), number(by, 1))
end

---@class weir.Histogram
local Histogram = setmetatable({}, { __index = Metric })
Histogram.__index = Histogram
--- Puts a value in.
function Histogram:observe(value, labels)
  core.metric_observe(series_of(self, labels), number(value, 0))
end

local function maker(kind, class)
  return function(name, help, options)
    if type(name) ~= "string" or type(help) ~= "string" then
      error(("metrics.%s: give a name and a help text"):format(kind), 2)
    end
    local family, message = core.metric(name, kind, help, metric_options:check(options or {}))
    if not family then error(("metrics.%s '%s': %s"):format(kind, name, message), 2) end
    return setmetatable({ name = name, _family = family, _series = {} }, class)
  end
end

---     local served = weir.metrics.counter("shop_pages_total", "Pages served")
---     served:inc { page = "home" }
---@type fun(name: string, help: string): weir.Counter
M.counter = maker("counter", Counter)
---@type fun(name: string, help: string): weir.Gauge
M.gauge = maker("gauge", Gauge)
---@type fun(name: string, help: string, options: {buckets: number[]}?): weir.Histogram
M.histogram = maker("histogram", Histogram)

return M
