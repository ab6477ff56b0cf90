--- What a bundle declared, as plain facts: what its author said of each thing, defaults included.
---
--- Two bundles compared by them show what a reload would change: a route that is new, a threshold
--- that moved. What handlers compute is not among them; which files changed is told beside.
local composition = require "weir.core.composition"
local core = require "weir.core"
local schema = require "weir.schema"
local words = require "weir.core.words"

local M = {}

---@alias weir.Facts table<string, table<string, string>>  Thing -> what is said of it -> value.

---@class weir.Change
---@field what string           The thing: "policy 'pay': breaker".
---@field option string?        Of it; nil: the thing itself came or went.
---@field before string?        nil: it was not there.
---@field after string?         nil: it is not there any more.

-- A thing may be there twice, as a layer in a policy.
local function put(facts, thing, said)
  local name, count = thing, 1
  while facts[name] do
    count = count + 1
    name = ("%s (%d)"):format(thing, count)
  end
  facts[name] = said
end

local function put_policy(facts, record)
  local kinds = {}
  for i, step in ipairs(composition.steps(record)) do
    kinds[i] = step.kind
    put(facts, ("policy '%s': %s"):format(record.name, step.kind), schema.said(step.options))
  end
  put(facts, ("policy '%s'"):format(record.name), { layers = table.concat(kinds, " > ") })
end

local function put_route(facts, route)
  local said = {}
  for key, value in pairs(schema.said(route.options)) do said[key] = value end
  local policies, used = composition.reach(route.roots)
  local names = {}
  for i, record in ipairs(policies) do names[i] = record.name end
  if #names > 0 then said.policies = table.concat(names, ", ") end
  for kind, list in pairs(used) do
    if #list > 0 then said[kind] = table.concat(list, ", ") end
  end
  put(facts, "route " .. route.pattern .. (route.host and " of " .. route.host or ""), said)
end

---@return weir.Facts
local function facts_of_bundle()
  local facts = {}
  for _, one in ipairs(composition.declared) do
    local name = one.name and (" '%s'"):format(one.name) or ""
    put(facts, one.kind .. name, schema.said(one.options))
  end
  for _, record in ipairs(composition.policies) do put_policy(facts, record) end
  for _, route in ipairs(composition.routes) do put_route(facts, route) end
  return facts
end

local function compare_options(what, before, after, changes)
  local all = {}
  for key in pairs(before) do all[key] = true end
  for key in pairs(after) do all[key] = true end
  for _, key in ipairs(words.sorted_keys(all)) do
    local old, new = before[key], after[key]
    if old ~= new then
      changes[#changes + 1] = { what = what, option = key, before = old, after = new }
    end
  end
end

---@param before weir.Facts
---@param after weir.Facts
---@return weir.Change[]
function M.compare(before, after)
  local changes, all = {}, {}
  for what in pairs(before) do all[what] = true end
  for what in pairs(after) do all[what] = true end
  for _, what in ipairs(words.sorted_keys(all)) do
    if not before[what] then
      changes[#changes + 1] = { what = what, after = "declared" }
    elseif not after[what] then
      changes[#changes + 1] = { what = what, before = "declared" }
    else
      compare_options(what, before[what], after[what], changes)
    end
  end
  return changes
end

--- For C: the facts of this bundle, as JSON.
---@return string
function M.facts()
  return assert(core.json_encode(facts_of_bundle()))
end

local function lines(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do list[#list + 1] = line end
  return core.json_array(list)
end

--- For C: what this bundle declares, as the answer to who asked for it.
---@param files string  The paths of its files, a line each.
---@return string
function M.shown(files)
  local facts, things = facts_of_bundle(), {}
  for i, what in ipairs(words.sorted_keys(facts)) do
    things[i] = { what = what, options = facts[what] }
  end
  return assert(core.json_encode { result = "shown", files = lines(files),
    declared = core.json_array(things) })
end

--- For C: what this bundle would change, as the answer to who asked for a dry run.
---@param before string  The facts of the live bundle.
---@param files string   The paths that differ, a line each.
---@return string
function M.changes(before, files)
  local changes = M.compare(assert(core.json_decode(before)), facts_of_bundle())
  local paths = lines(files)
  return assert(core.json_encode { result = "changes", changed = #paths > 0, files = paths,
    changes = core.json_array(changes) })
end

return M
