--- `string` and `tostring` for policies: bounded, step-counted, without addresses.
local core = require "weir.core"

local M = {}

local raw_tostring, raw_format, raw_rep = tostring, string.format, string.rep
local raw_getmetatable, type, error, rawget = getmetatable, type, error, rawget
local pattern_next, gsub_text, sub = core.pattern_next, core.gsub, string.sub
local format_needs = core.format_needs

local is_object = {
  table = true, ["function"] = true, userdata = true, thread = true, cdata = true,
}

--- Lua's tostring, but an object without `__tostring` is only the name of its type: no addresses.
---@async
function M.tostring(value)
  local kind = type(value)
  if not is_object[kind] then return raw_tostring(value) end
  if value == core.json_null then return "null" end
  local mt = raw_getmetatable(value)
  local convert = type(mt) == "table" and rawget(mt, "__tostring")
  if not convert then return kind end
  local result = convert(value)
  if type(result) ~= "string" then error("'__tostring' must return a string", 2) end
  return result
end

local function format(fmt, ...)
  local need = format_needs(fmt, ...)
  if not need then return raw_format(fmt, ...) end
  if need == "address" then
    error("string.format: '%p' is not available: it shows addresses", 2)
  end
  local n, args = select("#", ...), { ... }
  for i = 1, n do
    if is_object[type(args[i])] then args[i] = M.tostring(args[i]) end
  end
  return raw_format(fmt, unpack(args, 1, n))
end

local function rep(s, n, sep)
  local count = tonumber(n) or 0
  local width = (type(s) == "string" and #s or 32) + (type(sep) == "string" and #sep or 0)
  local limit = core.string_bytes()
  if width > 0 and count * width > limit then
    local text = "string.rep: %.0f bytes asked for, script_string allows %d"
    error(text:format(count * width, limit), 2)
  end
  if width == 0 then return "" end
  return raw_rep(s, n, sep)
end

-- gsub with a function or a table: here and not in C, because a policy's function must not run
-- below a C frame, where it could neither suspend nor be interrupted (and where LuaJIT's own gsub
-- overflows the C stack when its callback calls gsub).

local function replacement(get, repl, whole, ...)
  local value
  if get then value = repl[(...)] else value = repl(...) end
  if not value then return whole end
  if type(value) == "string" or type(value) == "number" then return value end
  error("invalid replacement value (a " .. type(value) .. ")", 4)
end

local function gsub_call(s, pattern, repl, limit)
  local get = type(repl) == "table"
  local anchored = sub(pattern, 1, 1) == "^"
  local parts, count, size, from = {}, 0, 0, 1
  local bytes_max = core.string_bytes()

  local function put(part, level)
    size = size + #part
    if size > bytes_max then
      error(("string.gsub: the result is longer than script_string allows (%d)"):format(bytes_max),
        level)
    end
    parts[#parts + 1] = part
  end

  -- One match from `from` on; false at the end.
  local function step(first, last, ...)
    if not first then
      if last then error(last, 3) end
      return false
    end
    put(sub(s, from, first - 1), 4)
    put(raw_tostring(replacement(get, repl, sub(s, first, last), ...)), 4)
    count = count + 1
    from = last + 1
    if last < first then
      put(sub(s, from, from), 4) -- an empty match takes the next character along
      from = from + 1
      if from > #s + 1 then return false end
    end
    return not anchored
  end

  while count < limit and step(pattern_next(s, pattern, from)) do end
  put(sub(s, from), 3)
  return table.concat(parts), count
end

local function gsub(s, pattern, repl, limit)
  local kind = type(repl)
  if kind ~= "function" and kind ~= "table" then return gsub_text(s, pattern, repl, limit) end
  if type(s) == "number" then s = raw_tostring(s) end
  if type(pattern) == "number" then pattern = raw_tostring(pattern) end
  if type(s) ~= "string" or type(pattern) ~= "string" then
    return gsub_text(s, pattern, "", limit) -- which raises
  end
  return gsub_call(s, pattern, repl, limit and tonumber(limit) or #s + 1)
end

M.library = {
  byte = string.byte, char = string.char, len = string.len, lower = string.lower,
  reverse = string.reverse, sub = string.sub, upper = string.upper,
  find = core.find, match = core.match, gmatch = core.gmatch,
  format = format, gsub = gsub, rep = rep,
}

return M
