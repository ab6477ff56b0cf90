--- The types of option values: what fits, in words, and how it becomes what the code wants.
---
--- `read(value)` returns the converted value; nil when it does not fit, then with a problem when
--- the misfit is somewhere inside. Re-exported by `weir.schema`.
local core = require "weir.core"
local words = require "weir.core.words"

local M = {}

local show = words.show

---@class weir.schema.Type
---@field what string       What fits, in words: "an integer from 0 to 10".
---@field default any       As an author would write it.
---@field required boolean
---@field doc string?       One sentence for generated docs.
---@field package read fun(value: any): any, weir.schema.Problem?

---@class weir.schema.Problem  Why a value does not fit: before .. path .. after.
---@field path string?      Where below the value: "[2]", "pool.max".
---@field before string     "option '"
---@field after string      "' must be an integer, got 'x'"

---@param what string
---@param options table?
---@param read fun(value: any): any, weir.schema.Problem?
---@return weir.schema.Type
function M.new_type(what, options, read)
  options = options or {}
  local t = { what = what, default = options.default, required = options.required == true,
    doc = options.doc, read = read }
  if t.default ~= nil and read(t.default) == nil then
    error(("schema: the default %s is not %s"):format(show(t.default), what), 3)
  end
  return t
end

--- The problem "option 'path' must be what, got value".
---@return weir.schema.Problem
function M.misfit(path, what, value, hint)
  local after = ("' must be %s, got %s%s"):format(what, show(value), hint or "")
  return { path = path, before = "option '", after = after }
end

local function join(key, path)
  if not key then return path end
  if not path then return key end
  return path:sub(1, 1) == "[" and key .. path or key .. "." .. path
end

--- Reads `value`, found under `key`, as `t`.
---@param t weir.schema.Type
---@return any result, weir.schema.Problem? problem
function M.read_at(t, key, value)
  local result, problem = t.read(value)
  if result ~= nil then return result end
  if not problem then return nil, M.misfit(key, t.what, value) end
  problem.path = join(key, problem.path)
  return nil, problem
end

-- " from 0 to 10", " of at least 1", …, "" without bounds.
local function bounds(min, max, text)
  text = text or show
  if min and max then return (" from %s to %s"):format(text(min), text(max)) end
  if min then return " of at least " .. text(min) end
  return max and " of at most " .. text(max) or ""
end

local function within(value, min, max)
  return (not min or value >= min) and (not max or value <= max)
end

--- A number; `what` names the kind, `convert(value)` makes the number or nil, `text` shows a bound.
local function quantity(what, options, convert, text)
  local function bound(value)
    return value and assert(convert(value), "schema: a bound that is not " .. what)
  end
  local min, max = bound(options.min), bound(options.max)
  return M.new_type(what .. bounds(min, max, text), options, function(value)
    local number = convert(value)
    return number and within(number, min, max) and number or nil
  end)
end

--- Text with a unit or a number of seconds; becomes nanoseconds.
---@return weir.schema.Type
function M.duration(options)
  return quantity('a duration like "250ms"', options or {}, core.duration, core.duration_text)
end

local function number_of(value)
  return type(value) == "number" and value == value and value or nil
end

---@return weir.schema.Type
function M.number(options)
  return quantity("a number", options or {}, number_of)
end

---@return weir.schema.Type
function M.integer(options)
  return quantity("an integer", options or {}, function(value)
    return number_of(value) and value % 1 == 0 and value or nil
  end)
end

--- A number from 0 to 1.
---@return weir.schema.Type
function M.ratio(options)
  options = options or {}
  local limits = { min = options.min or 0, max = options.max or 1, default = options.default,
    required = options.required, doc = options.doc }
  return quantity("a ratio", limits, number_of)
end

local size_units = { B = 1, kB = 1e3, MB = 1e6, GB = 1e9, KiB = 2 ^ 10, MiB = 2 ^ 20, GiB = 2 ^ 30 }

local function size_bytes(value)
  if type(value) == "string" then
    local digits, unit = value:match "^(%d+%.?%d*) ?(%a+)$"
    value = digits and size_units[unit] and tonumber(digits) * size_units[unit]
  end
  return number_of(value) and value >= 0 and value % 1 == 0 and value <= 2 ^ 53 and value or nil
end

local function size_text(bytes)
  for _, unit in ipairs { "GiB", "MiB", "KiB" } do
    local n = bytes / size_units[unit]
    if n >= 1 and n % 1 == 0 then return n .. unit end
  end
  return bytes .. "B"
end

--- Text with a unit ("64KiB", "1MB") or a number of bytes; becomes bytes.
---@return weir.schema.Type
function M.size(options)
  return quantity('a size like "64KiB"', options or {}, size_bytes, size_text)
end

--- One of the words in the list part of `options`.
---@return weir.schema.Type
function M.enum(options)
  local known, quoted = {}, {}
  for i, word in ipairs(options) do known[word], quoted[i] = true, "'" .. word .. "'" end
  local what = "one of " .. table.concat(quoted, ", ")
  return M.new_type(what, options, function(value)
    if type(value) ~= "string" then return nil end
    if known[value] then return value end
    local close = words.closest(value, known)
    return nil, M.misfit(nil, what, value, close and (" (did you mean '%s'?)"):format(close))
  end)
end

local function plain(kind, what)
  return function(options)
    return M.new_type(what, options, function(value)
      if type(value) == kind then return value end
    end)
  end
end

M.boolean = plain("boolean", "true or false")
M.func = plain("function", "a function")
M.table = plain("table", "a table")

--- A string whose length `min` and `max` bound, and whose form the Lua pattern `pattern` gives;
--- `what` then says it in words.
---@return weir.schema.Type
function M.string(options)
  options = options or {}
  local length = bounds(options.min, options.max)
  local what = options.what or (length == "" and "a string" or "a string" .. length .. " bytes")
  return M.new_type(what, options, function(value)
    if type(value) ~= "string" or not within(#value, options.min, options.max) then return nil end
    return (not options.pattern or value:find(options.pattern)) and value or nil
  end)
end

--- Anything but nil.
---@return weir.schema.Type
function M.any(options)
  return M.new_type("a value", options, function(value) return value end)
end

--- A list of `of`; `min` and `max` bound its length.
---@param of weir.schema.Type
---@return weir.schema.Type
function M.list(of, options)
  options = options or {}
  local length = bounds(options.min, options.max)
  local what = ("a list%s, each %s"):format(length == "" and "" or length .. " elements", of.what)
  return M.new_type(what, options, function(value)
    if type(value) ~= "table" or not within(#value, options.min, options.max) then return nil end
    local result = {}
    for key, element in pairs(value) do
      if type(key) ~= "number" or key % 1 ~= 0 or key < 1 or key > #value then return nil end
      local problem
      result[key], problem = M.read_at(of, ("[%d]"):format(key), element)
      if problem then return nil, problem end
    end
    return result
  end)
end

--- A table with any names as keys whose values are all `of`.
---@param of weir.schema.Type
---@return weir.schema.Type
function M.map(of, options)
  return M.new_type("a table of names, each " .. of.what, options, function(value)
    if type(value) ~= "table" then return nil end
    local result = {}
    for key, element in pairs(value) do
      if type(key) ~= "string" then return nil end
      local problem
      result[key], problem = M.read_at(of, key, element)
      if problem then return nil, problem end
    end
    return result
  end)
end

--- The first of the types in the list part of `options` that fits.
---@return weir.schema.Type
function M.either(options)
  local whats = {}
  for i, one in ipairs(options) do whats[i] = one.what end
  return M.new_type(table.concat(whats, ", or "), options, function(value)
    for _, one in ipairs(options) do
      local result = one.read(value)
      if result ~= nil then return result end
    end
  end)
end

return M
