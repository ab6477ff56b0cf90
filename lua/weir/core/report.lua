--- What `weir check` and a reload say about a bundle: the pipeline of each route, and warnings.
local composition = require "weir.core.composition"
local core = require "weir.core"
local rules = require "weir.core.rules"
local timing = require "weir.core.timing"

local M = {}

---@class weir.Warning
---@field id string
---@field policy string
---@field place string     "file:line" of the layer, or of the policy.
---@field message string   What is wrong, with numbers.
---@field advice string    What to do.

-- Judging.

local function judge(record, routes, warnings)
  local steps = composition.steps(record)
  local subject = { record = record, steps = steps, worst = timing.worst(steps), routes = routes }
  for _, rule in ipairs(rules) do
    function subject.warn(step, message, advice)
      warnings[#warnings + 1] = { id = rule.id, policy = step and step.policy or record.name,
        place = step and step.place or record.place, message = message, advice = advice }
    end
    rule.check(subject)
  end
end

-- An element of other policies that no route calls by itself is judged where it stands in them.
local function judge_all(reached_by)
  local warnings = { unpack(composition.warnings) }
  for _, record in ipairs(composition.policies) do
    local routes = reached_by[record] or {}
    if routes[1] or not record.is_element then judge(record, routes, warnings) end
  end
  return warnings
end

--- The bundle as it was declared: routes with what they reach, policies that none reaches, and
--- warnings.
---@return { route: weir.RouteRecord, policies: weir.PolicyRecord[], used: weir.Used }[] routes
---@return weir.PolicyRecord[] others
---@return weir.Warning[] warnings
function M.look()
  local routes, reached_by, others = {}, {}, {}
  for i, route in ipairs(composition.routes) do
    local policies, used = composition.reach(route.roots)
    routes[i] = { route = route, policies = policies, used = used }
    for _, record in ipairs(policies) do
      reached_by[record] = reached_by[record] or {}
      table.insert(reached_by[record], route)
    end
  end
  for _, record in ipairs(composition.policies) do
    if not reached_by[record] and not record.is_element then others[#others + 1] = record end
  end
  return routes, others, judge_all(reached_by)
end

-- Showing layers.

-- What is worth reading of a layer: its options in this order, those with a unit apart.
local telling = {
  deadline = { "total" },
  timeout = { "limit" },
  retry = { "max", "backoff", "jitter", "on", "budget" },
  breaker = { "failure_rate", "window", "window_calls", "min_calls", "consecutive", "slow_call",
    "slow_rate", "open", "ramp", "health", "mode" },
  bulkhead = { "max", "queue", "wait", "key", "order", "mode" },
  limiter = { "rate", "burst", "cost", "algorithm", "key", "wait", "mode" },
  shedder = { "limit", "queue", "wait", "max_healthy_latency", "lag", "memory", "in_flight",
    "mode" },
  throttle = { "ratio", "window", "mode" },
  hedge = { "delay", "percentile", "max_extra_load", "max" },
  chaos = { "match", "probability", "latency", "variance", "error", "status", "reset", "hangup",
    "drip", "truncate", "expires" },
}

local is_duration = { total = true, limit = true, window = true, open = true, slow_call = true,
  wait = true, max_healthy_latency = true, delay = true, latency = true, variance = true,
  ramp = true, lag = true, expires = true }

-- Said only when they differ from the usual.
local usual = { jitter = "full", mode = "normal", order = "fifo", consecutive = 0, slow_call = 0,
  slow_rate = 0, wait = 0, cost = 1, algorithm = "gcra", budget = true, reset = false,
  hangup = false }

local function value_text(key, value)
  if type(value) == "number" and is_duration[key] then
    return value >= 1e6 and timing.text(value) or tostring(value)
  end
  if type(value) == "number" then return ("%.14g"):format(value) end
  if type(value) == "string" or type(value) == "boolean" then return tostring(value) end
  if type(value) ~= "table" then return type(value) end
  local parts = {}
  for i, part in ipairs(value) do parts[i] = tostring(part) end
  return #parts > 0 and table.concat(parts, "|") or "{…}"
end

local function option_texts(step)
  local parts = {}
  for _, key in ipairs(telling[step.kind] or {}) do
    local value = step.options[key]
    -- A window of calls is there instead of one of time.
    local is_moot = key == "window" and step.options.window_calls
    if value ~= nil and value ~= usual[key] and not is_moot then
      parts[#parts + 1] = { key = key, text = value_text(key, value) }
    end
  end
  return parts
end

local function step_text(step, owner)
  local parts = option_texts(step)
  local words = {}
  for i, part in ipairs(parts) do
    local is_plain = #parts == 1 and (step.kind == "deadline" or step.kind == "timeout")
    words[i] = is_plain and part.text or part.key .. "=" .. part.text
  end
  local name = step.name ~= owner and (" '%s'"):format(step.name) or ""
  return step.kind .. name .. (#words > 0 and " " .. table.concat(words, " ") or "")
end

-- As text.

local function policy_lines(record, indent, folder, lines)
  lines[#lines + 1] = ("%spolicy %s  %s%s"):format(indent, record.name, folder, record.place)
  for _, step in ipairs(composition.steps(record)) do
    lines[#lines + 1] = ("%s  > %s"):format(indent, step_text(step, record.name))
  end
end

local function split_pattern(pattern)
  local methods, path = pattern:match "^([%u,]+)%s+(.*)$"
  return methods or "*", path or pattern
end

local function route_lines(entry, folder, lines)
  local route = entry.route
  local methods, path = split_pattern(route.pattern)
  local host = route.host and route.host .. " " or ""
  lines[#lines + 1] = ("  %-8s %s%s  deadline %s  %s%s"):format(methods, host, path,
    timing.text(route.deadline), folder, route.place)
  local function names(kind)
    local list = entry.used[kind]
    if #list > 0 then lines[#lines + 1] = ("    %s %s"):format(kind, table.concat(list, ", ")) end
  end
  names "flags"
  names "caches"
  for _, record in ipairs(entry.policies) do policy_lines(record, "    ", folder, lines) end
  names "upstreams"
end

local function as_text(folder)
  local routes, others, warnings = M.look()
  local lines = {}
  for _, entry in ipairs(routes) do route_lines(entry, folder, lines) end
  if #others > 0 then lines[#lines + 1] = "  not seen in a route's handler:" end
  for _, record in ipairs(others) do policy_lines(record, "    ", folder, lines) end
  for _, w in ipairs(warnings) do
    lines[#lines + 1] = ("%s%s: warning: policy '%s': %s [%s]"):format(folder, w.place, w.policy,
      w.message, w.id)
    lines[#lines + 1] = "  " .. w.advice
  end
  return table.concat(lines, "\n"), #warnings
end

-- As JSON.

local function policy_json(record)
  local layers = {}
  for i, step in ipairs(composition.steps(record)) do
    local options = {}
    for _, part in ipairs(option_texts(step)) do options[part.key] = part.text end
    layers[i] = { kind = step.kind, policy = step.policy, name = step.name, place = step.place,
      options = options }
  end
  return { name = record.name, place = record.place, layers = core.json_array(layers) }
end

local function policies_json(records)
  local list = {}
  for i, record in ipairs(records) do list[i] = policy_json(record) end
  return core.json_array(list)
end

local function as_json()
  local routes, others, warnings = M.look()
  local list = {}
  for i, entry in ipairs(routes) do
    local route = entry.route
    list[i] = { pattern = route.pattern, host = route.host, place = route.place,
      deadline = timing.text(route.deadline), policies = policies_json(entry.policies),
      flags = core.json_array(entry.used.flags), caches = core.json_array(entry.used.caches),
      upstreams = core.json_array(entry.used.upstreams) }
  end
  local text = assert(core.json_encode { pipelines = core.json_array(list),
    unreached = policies_json(others), warnings = core.json_array(warnings) })
  return text, #warnings
end

-- As log lines: a few of each kind, for every reload logs them anew.

local LOGGED_EACH = 3

local function as_log()
  local _, _, warnings = M.look()
  local counts = {}
  for _, w in ipairs(warnings) do
    counts[w.id] = (counts[w.id] or 0) + 1
    if counts[w.id] <= LOGGED_EACH then
      core.log("warn", w.message, { id = w.id, policy = w.policy, place = w.place,
        advice = w.advice }, "policy.warning")
    end
  end
  for id, count in pairs(counts) do
    if count > LOGGED_EACH then
      core.log("warn", ("%d more like these: `weir check` lists all"):format(count - LOGGED_EACH),
        { id = id, count = count }, "policy.warning")
    end
  end
  return "", #warnings
end

local forms = { text = as_text, json = as_json, log = as_log }

--- For C: the report in one of the forms "text", "json" and "log", and the number of warnings.
--- `folder` goes before every place.
---@param form string
---@param folder string
---@return string
---@return integer
function M.report(form, folder)
  return forms[form](folder)
end

return M
