--- `require` in both worlds; the first file a new state runs. Gets the core table, returns the
--- environment of policies.
---
--- Library modules run in the state's own globals and may be required by policies as read-only
--- facades; `weir.core` and what lies below it is for the library alone. Bundle modules run in the
--- policy environment. Each module runs once in a state.
local core = ...

local raw_xpcall = xpcall

--- A `require` over `open(name)`, which returns a chunk or raises, with its own memory.
local function loader(open, loaded)
  local order = {} -- modules being loaded, outermost first

  local function cycle(name)
    local names = {}
    for i = 1, #order do
      if order[i] == name or #names > 0 then names[#names + 1] = order[i] end
    end
    names[#names + 1] = name
    return table.concat(names, " -> ")
  end

  return function(name)
    local value = loaded[name]
    if value ~= nil then return value end
    for i = 1, #order do
      if order[i] == name then error("circular require: " .. cycle(name), 3) end
    end
    local chunk = open(name, 4)
    order[#order + 1] = name
    local ok
    -- Raising it again forgets where it was raised, and not every error says that itself.
    ok, value = raw_xpcall(chunk, core.note_raise, name)
    order[#order] = nil
    if not ok then error(value, 0) end
    if value == nil then value = true end
    loaded[name] = value
    return value
  end
end

local function is_private(name)
  return name == "weir.core" or name:sub(1, 10) == "weir.core."
end

-- The modules that policies may name, for "did you mean".
local function public_modules()
  local names = {}
  for _, name in ipairs(core.library_modules()) do
    if not is_private(name) then names[name] = true end
  end
  return names
end

local function open_library(name, level)
  local chunk = core.compile_library(name)
  if chunk then return chunk end
  local hint = core.compile_library "weir.core.words" "weir.core.words".hint(name, public_modules())
  error(("no library module '%s'%s"):format(name, hint), level)
end

local require_library = loader(open_library, { ["weir.core"] = core })
-- An error inside a library module already says where; this only keeps the levels right.
require = function(name) return (require_library(name)) end -- luacheck: globals require

local sandbox = require "weir.core.sandbox"
local env

local function open_module(name, level)
  local chunk, message = core.compile_module(name, env)
  if chunk then return chunk end
  if message then error(message, 0) end
  local path = name:gsub("%.", "/")
  local text = "no module '%s' in the bundle: looked for %s.lua and %s/init.lua"
  error(text:format(name, path, path), level)
end

local require_module = loader(open_module, {})

-- What a policy calls: `require "weir"`, `require "weir.http"`, `require "lib.tariffs"`.
local function policy_require(name)
  if type(name) ~= "string" then
    error("require: a module name is a string, not a " .. type(name), 2)
  end
  if name == "weir" or name:sub(1, 5) == "weir." then
    if is_private(name) then error("require: '" .. name .. "' is private to the library", 2) end
    return (sandbox.facade(require_library(name)))
  end
  if #name > 128 or ("." .. name):gsub("%.[%w_-]+", "") ~= "" then
    error(("require: '%s' is not a module name: letters, digits, '_' and '-' between dots")
      :format(name:sub(1, 128)), 2)
  end
  return (require_module(name))
end

env = sandbox.environment(policy_require)
return env
