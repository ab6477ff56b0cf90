--- `table` for policies: bounded concat, and a sort that cannot be led astray.
local core = require "weir.core"

local M = {}

local raw_concat, type, error = table.concat, type, error

local function concat(list, sep, i, j)
  local limit = core.string_bytes()
  if core.concat_bytes(list, sep, i, j) > limit then
    error(("table.concat: the result is longer than script_string allows (%d)"):format(limit), 2)
  end
  return raw_concat(list, sep, i, j)
end

local function less(a, b) return a < b end

-- Merges the sorted runs from[low..mid] and from[mid+1..high] into `to`.
local function merge(from, to, low, mid, high, before)
  local i, j = low, mid + 1
  for k = low, high do
    if j > high or (i <= mid and not before(from[j], from[i])) then
      to[k], i = from[i], i + 1
    else
      to[k], j = from[j], j + 1
    end
  end
end

--- Stable merge sort. In Lua and not in C, so that the comparator may suspend and be interrupted;
--- n log n whatever the comparator answers.
---@async
local function sort(list, before)
  if type(list) ~= "table" then
    error("bad argument #1 to 'sort' (table expected, got " .. type(list) .. ")", 2)
  end
  if before ~= nil and type(before) ~= "function" then
    error("bad argument #2 to 'sort' (function expected, got " .. type(before) .. ")", 2)
  end
  if before == nil and core.sort_plain(list) then return end
  local n = #list
  local from, to = {}, {}
  for i = 1, n do from[i] = list[i] end
  local width = 1
  while width < n do
    for low = 1, n, 2 * width do
      merge(from, to, low, math.min(low + width - 1, n), math.min(low + 2 * width - 1, n),
        before or less)
    end
    from, to, width = to, from, 2 * width
  end
  for i = 1, n do list[i] = from[i] end
end

M.library = {
  concat = concat, insert = core.insert, maxn = table.maxn, move = table.move,
  remove = table.remove, sort = sort,
}

return M
