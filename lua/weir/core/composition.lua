--- What a bundle composed: its policies with their layers, and which of them each route reaches.
---
--- Declarations leave a record here while they load. What a handler uses of them is found
--- by walking what it closes over: upvalues, and tables in them. That sees locals, modules of the
--- bundle and objects; it does not see globals, nor what is made while serving, like ladders.
local core = require "weir.core"

local M = {}

-- Values looked at for one route; a bundle that closes over more is not followed further.
local VALUES_MAX = 20000

---@class weir.PolicyRecord
---@field name string
---@field place string      "file:line" of its declaration.
---@field elements table[]  Layers and policies as written, outermost first.
---@field index integer     Order of declaration.
---@field is_element boolean?  Part of another policy.

---@class weir.Step         One layer of a policy, those of inner policies included.
---@field kind string
---@field options table
---@field place string
---@field policy string     Whose layer it is.
---@field owner weir.PolicyRecord
---@field name string       Of its state: the layer's own name, or the policy's.

---@class weir.RouteRecord
---@field pattern string
---@field host string?
---@field place string
---@field deadline number   In nanoseconds.
---@field options table     As validated.
---@field roots any[]       Where the walk begins; may have holes.

M.policies = {} ---@type weir.PolicyRecord[]
M.routes = {} ---@type weir.RouteRecord[]
M.warnings = {} ---@type weir.Warning[]
M.declared = {} ---@type { kind: string, name: string?, options: table }[]

local record_of = setmetatable({}, { __mode = "k" }) -- policy -> record
local name_of = setmetatable({}, { __mode = "k" }) -- upstream, cache or flag -> name
local kind_of = setmetatable({}, { __mode = "k" }) -- the same -> "upstreams", "caches", "flags"

--- Notes a policy.
---@param policy table
---@param record weir.PolicyRecord
function M.add_policy(policy, record)
  record.index = #M.policies + 1
  M.policies[record.index] = record
  record_of[policy] = record
  for _, element in ipairs(record.elements) do
    local inner = record_of[element]
    if inner then inner.is_element = true end
  end
end

--- The record of a policy; nil for anything else.
---@param value any
---@return weir.PolicyRecord?
function M.policy_of(value)
  return record_of[value]
end

--- Notes what a handler may use beside policies.
---@param kind "upstreams"|"caches"|"flags"
---@param value any
---@param name string
function M.add(kind, value, name)
  kind_of[value], name_of[value] = kind, name
end

--- Notes what `weir check` is to warn of beside its rules.
---@param warning weir.Warning
function M.warn(warning)
  M.warnings[#M.warnings + 1] = warning
end

--- Notes anything else that was declared, with its options as validated.
---@param kind string    As a reader would say it: "upstream", "health check".
---@param name string?
---@param options table
function M.declare(kind, name, options)
  M.declared[#M.declared + 1] = { kind = kind, name = name, options = options }
end

--- Notes a route.
---@param route weir.RouteRecord
function M.add_route(route)
  M.routes[#M.routes + 1] = route
end

-- Policies contain only what was declared before them, so this ends.
local function append_steps(record, steps)
  for _, element in ipairs(record.elements) do
    local inner = record_of[element]
    if inner then
      append_steps(inner, steps)
    else
      steps[#steps + 1] = { kind = element.kind, options = element.options, place = element.place,
        policy = record.name, owner = record, name = element.options.name or record.name }
    end
  end
end

--- The layers that a call through the policy passes, outermost first.
---@param record weir.PolicyRecord
---@return weir.Step[]
function M.steps(record)
  local steps = {}
  append_steps(record, steps)
  return steps
end

-- Walking.

-- The library's own functions close over everything; only shipped policies are followed.
local function is_followed(source)
  return source:sub(1, 6) ~= "@weir/" or source:sub(1, 15) == "@weir/policies/"
end

local function parts_of(value, push)
  local kind = type(value)
  if kind == "function" then
    local values, source = core.upvalues(value)
    if is_followed(source) then for i = 1, values.n do push(values[i]) end end
  elseif kind == "table" then
    for key, part in next, value do
      push(key)
      push(part)
    end
    push(getmetatable(value))
  end
end

local worth = { ["function"] = true, table = true, userdata = true }

---@class weir.Used        Sorted names.
---@field upstreams string[]
---@field caches string[]
---@field flags string[]

--- What can be reached from `roots`: policies in order of declaration, and the names of the rest.
---@param roots any[]
---@return weir.PolicyRecord[]
---@return weir.Used
function M.reach(roots)
  local policies, used, seen, work = {}, { upstreams = {}, caches = {}, flags = {} }, {}, {}
  local function push(value)
    if not worth[type(value)] or seen[value] or #work >= VALUES_MAX then return end
    seen[value] = true
    work[#work + 1] = value
  end
  for _, root in pairs(roots) do push(root) end
  local at = 1
  while work[at] ~= nil do
    local value = work[at]
    if record_of[value] then
      policies[#policies + 1] = record_of[value]
    elseif kind_of[value] then
      table.insert(used[kind_of[value]], name_of[value])
    else
      parts_of(value, push)
    end
    at = at + 1
  end
  table.sort(policies, function(a, b) return a.index < b.index end)
  for _, names in pairs(used) do table.sort(names) end
  return policies, used
end

return M
