--- Words for messages: showing a value, and guessing what a mistyped name was meant to be.
local M = {}

--- `value` as a message shows it: short, and never with a hostile `__tostring` run.
---@param value any
---@return string
function M.show(value)
  local kind = type(value)
  if kind == "string" then
    return "'" .. (#value > 60 and value:sub(1, 57) .. "..." or value) .. "'"
  end
  if kind == "number" then return ("%.14g"):format(value) end
  if kind == "boolean" or value == nil then return tostring(value) end
  return "a " .. kind
end

local PLAIN_DEPTH, PLAIN_LENGTH = 4, 200

local function plain(value, depth)
  local kind = type(value)
  if kind == "string" then return (value:gsub("://[^/@%s]*@", "://***@")) end
  if kind ~= "table" then return M.show(value) end
  if depth > PLAIN_DEPTH then return "{…}" end
  local parts = {}
  for i, part in ipairs(value) do parts[i] = plain(part, depth + 1) end
  local named = {}
  for key, part in pairs(value) do
    if type(key) == "string" then named[key] = plain(part, depth + 1) end
  end
  for _, key in ipairs(M.sorted_keys(named)) do parts[#parts + 1] = key .. "=" .. named[key] end
  return "{" .. table.concat(parts, ", ") .. "}"
end

--- `value` as its author wrote it, on one line and bounded; without the password of a URL.
---@param value any
---@return string
function M.plain(value)
  local text = plain(value, 1)
  return #text > PLAIN_LENGTH and text:sub(1, PLAIN_LENGTH) .. "…" or text
end

-- Edits (insert, delete, replace, swap two neighbours) from `a` to `b`.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    local before, last, row = rows[i - 2], rows[i - 1], { [0] = i }
    rows[i] = row
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      if swapped then row[j] = math.min(row[j], before[j - 2] + 1) end
    end
  end
  return rows[#a][#b]
end

-- `max_attempts` extends `max`.
local function extends(long, short)
  return long:sub(1, #short + 1) == short .. "_"
end

--- The keys of `t`, sorted.
---@param t table<string, any>
---@return string[]
function M.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- The key of `known` that `name` was probably meant to be, or nil.
---@param name string
---@param known table<string, any>
---@return string?
function M.closest(name, known)
  if #name > 40 then return nil end
  local best, best_distance = nil, math.max(1, math.floor(#name / 3)) + 1
  for _, candidate in ipairs(M.sorted_keys(known)) do
    local d = distance(name, candidate)
    if extends(name, candidate) or extends(candidate, name) then d = math.min(d, 1) end
    if d < best_distance then best, best_distance = candidate, d end
  end
  return best
end

--- Ends a message about an unknown name: " (did you mean 'x'?)", " (there are: a, b)" or
--- " (there are none)".
---@param name any
---@param known table<string, any>
---@return string
function M.hint(name, known)
  local close = type(name) == "string" and M.closest(name, known)
  if close then return (" (did you mean '%s'?)"):format(close) end
  if next(known) == nil then return " (there are none)" end
  return (" (there are: %s)"):format(table.concat(M.sorted_keys(known), ", "))
end

return M
