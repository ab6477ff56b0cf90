--- Option validation: exact tables of options, with errors that name place, key, value and bound.
---
---     local options = schema.new("retry", {
---       max     = schema.integer { min = 0, max = 10, default = 2 },
---       backoff = schema.duration { default = "50ms", doc = "Wait before the first retry." },
---     }, { positional = "max" })
---
---     function M.retry(given) local o = options:check(given) … end
---
--- `weir.retry { max_atempts = 5 }` then raises
--- `policies/pay.lua:14: retry: unknown option 'max_atempts' (did you mean 'max'?)`.
--- Durations come out as nanoseconds, sizes as bytes. All types take `default`, `required`, `doc`.
local core = require "weir.core"
local types = require "weir.core.types"
local words = require "weir.core.words"

local M = {
  any = types.any, boolean = types.boolean, duration = types.duration, either = types.either,
  enum = types.enum, func = types.func, integer = types.integer, list = types.list, map = types.map,
  number = types.number, ratio = types.ratio, size = types.size, string = types.string,
  table = types.table, hint = words.hint,
}

local show = words.show

-- Tables of options.

---@class weir.Schema : weir.schema.Type
---@field name string
---@field fields table<string, weir.schema.Type>
---@field positional string?
local Schema = {}
Schema.__index = Schema

local function read_fields(self, given)
  local result = {}
  for key, value in pairs(given) do
    local field = type(key) == "string" and self.fields[key]
    if not field then
      local name = type(key) == "string" and key or ("[%s]"):format(tostring(key))
      return nil, { path = name, before = "unknown option '",
        after = "'" .. words.hint(key, self.fields) }
    end
    local problem
    result[key], problem = types.read_at(field, key, value)
    if problem then return nil, problem end
  end
  for key, field in pairs(self.fields) do
    if result[key] == nil and field.required then
      return nil, { path = key, before = "option '", after = "' is required: " .. field.what }
    end
    if result[key] == nil and field.default ~= nil then result[key] = field.read(field.default) end
  end
  return result
end

-- What was checked while loading -> what was said of each option.
local said_of = setmetatable({}, { __mode = "k" })

local function texts_of(fields, given)
  local texts = {}
  for key, field in pairs(fields) do
    local value = given[key]
    if value == nil then value = field.default end
    if value ~= nil then texts[key] = words.plain(value) end
  end
  return texts
end

local function read_options(self, given)
  if given == nil then given = {} end
  if type(given) ~= "table" and self.positional then given = { [self.positional] = given } end
  if type(given) ~= "table" then return nil end
  local result, problem = read_fields(self, given)
  if result and core.is_loading() then said_of[result] = texts_of(self.fields, given) end
  return result, problem
end

--- A table of options that takes the keys of `fields` and no other. It is a type too, so it nests.
---@param name string                             Begins every message.
---@param fields table<string, weir.schema.Type>
---@param options { positional: string?, default: any, required: boolean?, doc: string? }?
---@return weir.Schema
function M.new(name, fields, options)
  options = options or {}
  local self = { name = name, fields = fields, positional = options.positional }
  local made = types.new_type("a table of options", options, function(value)
    if value == nil then return nil end
    return read_options(self, value)
  end)
  for key, value in pairs(made) do self[key] = value end
  return setmetatable(self, Schema)
end

--- `given` with units converted and defaults filled in, as a new table. Raises at `level` (as in
--- `error`; default 2: the caller of who calls this) when something does not fit.
---@param given any      A table, the positional value, or nil for all defaults.
---@param level integer?
---@return table
function Schema:check(given, level)
  local result, problem = read_options(self, given)
  if result then return result end
  local text = problem and problem.before .. problem.path .. problem.after
    or ("the options must be a table, got " .. show(given))
  error(self.name .. ": " .. text, (level or 2) + 1)
end

--- What was said of each option, or is its default, in the author's words. Empty for what no schema
--- checked while the bundle loaded.
---@param options table  As returned by `check`.
---@return table<string, string>
function M.said(options)
  return said_of[options] or {}
end

--- One row for each option, sorted by key, for docs: `{ key, what, default, required, doc }`.
---@return table[]
function Schema:rows()
  local rows = {}
  for i, key in ipairs(words.sorted_keys(self.fields)) do
    local f = self.fields[key]
    rows[i] = { key = key, what = f.what, default = f.default, required = f.required, doc = f.doc }
  end
  return rows
end

return M
