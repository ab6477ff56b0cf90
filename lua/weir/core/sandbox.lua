--- The world of policies: an environment that holds what is listed here and nothing else.
---
--- Left out, with the reason:
---   load loadstring loadfile dofile module package   code that was not in the bundle, bytecode
---   getfenv setfenv _G                               a way to the library's globals
---   debug jit ffi newproxy collectgarbage gcinfo     a way below the language
---   coroutine                                        nested ones crash LuaJIT; the host suspends
---   io os                                            blocking, and time comes from `weir.now`
---   string.dump math.randomseed                      bytecode; randomness is the worker's
local core = require "weir.core"
local protect = require "weir.core.protect"
local text = require "weir.core.text"
local lists = require "weir.core.lists"

local M = {}

local raw_getmetatable, raw_setmetatable, raw_rawset = getmetatable, setmetatable, rawset
local raw_tostring = tostring

-- Facades: read-only views of library tables.

local facades = raw_setmetatable({}, { __mode = "k" }) -- library table -> its facade
local is_facade = raw_setmetatable({}, { __mode = "k" })

local function refuse_write(_, key)
  error(("library tables cannot be modified (key '%s')"):format(text.tostring(key)), 2)
end

--- The view of `value` that policies get: tables without metatable become read-only, with the plain
--- tables inside them, found lazily; anything else is itself.
function M.facade(value)
  if type(value) ~= "table" or is_facade[value] then return value end
  local original = raw_getmetatable(value)
  if facades[value] then return facades[value] end
  local seen = {} -- inner tables' facades stay the same table
  local view = raw_setmetatable({}, {
    __index = function(_, key)
      local found = seen[key]
      if found ~= nil then return found end
      found = value[key]
      if type(found) == "table" and raw_getmetatable(found) == nil then found = M.facade(found) end
      if found ~= nil then seen[key] = found end
      return found
    end,
    __newindex = refuse_write,
    __call = original and original.__call,
    __metatable = false,
  })
  facades[value], is_facade[view] = view, true
  return view
end

-- Metatables: a policy sees and replaces only those it made.

local own_metatables = raw_setmetatable({}, { __mode = "k" })

local function policy_setmetatable(t, mt)
  if type(mt) == "table" then
    if rawget(mt, "__gc") ~= nil then
      error("setmetatable: __gc is not available to policies", 2)
    end
    own_metatables[mt] = true
  end
  local current = type(t) == "table" and raw_getmetatable(t)
  if current and type(current) == "table" and not own_metatables[current] then
    error("setmetatable: cannot change the metatable of a library object", 2)
  end
  return raw_setmetatable(t, mt)
end

local function policy_getmetatable(value)
  local mt = type(value) == "table" and raw_getmetatable(value)
  if not mt then return nil end
  if type(mt) == "table" and not own_metatables[mt] then return nil end
  return mt
end

local function policy_rawset(t, key, value)
  if is_facade[t] then error("library tables cannot be modified", 2) end
  return raw_rawset(t, key, value)
end

local function policy_print(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[i] = text.tostring((select(i, ...))) end
  core.print(table.concat(parts, "\t"))
end

local function copy(names, from)
  local to = {}
  for name in names:gmatch "%S+" do to[name] = from[name] end
  return to
end

local function builtins(require)
  local b = copy([[assert error ipairs next pairs rawequal rawget select tonumber type unpack
    _VERSION]], _G)
  b.pcall, b.xpcall = protect.pcall, protect.xpcall
  b.setmetatable, b.getmetatable = policy_setmetatable, policy_getmetatable
  b.rawset, b.tostring, b.print, b.require = policy_rawset, text.tostring, policy_print, require
  local math_table = copy([[abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge
    ldexp log log10 max min modf pi pow rad sin sinh sqrt tan tanh]], math)
  math_table.random = core.random
  b.math = M.facade(math_table)
  b.string = M.facade(text.library)
  b.table = M.facade(lists.library)
  b.bit = M.facade(bit)
  return b
end

--- The environment of all policy chunks of this state. Empty itself: reads go to the built-ins and
--- the declared globals, writes are checked.
function M.environment(require)
  local builtin = builtins(require)
  local globals = raw_setmetatable({}, { __index = builtin })
  local string_meta = raw_getmetatable ""
  string_meta.__index = text.library
  string_meta.__metatable = false
  return raw_setmetatable({}, {
    __index = globals,
    __newindex = function(_, key, value)
      if builtin[key] ~= nil then error(("cannot replace the built-in '%s'"):format(key), 2) end
      if core.is_frozen() then
        error(("cannot set global '%s' after load: use a local, or state that weir keeps")
          :format(raw_tostring(key)), 2)
      end
      globals[key] = value
    end,
    __metatable = false,
  })
end

-- The library does not need them either: an escape into its globals should find nothing.
local unneeded = [[load loadstring loadfile dofile getfenv setfenv newproxy collectgarbage gcinfo
  print]]
for name in unneeded:gmatch "%S+" do _G[name] = nil end
string.dump = nil

return M
