-- Runs inside weir, in the library's world (spec/native/api_list.c): everything that is reachable
-- from `require "weir"`, from its handles and from what its constructors make, as JSON.
local core, place, handles = ...
local weir = require "weir"

local result = {}

local function entry(value)
  if type(value) ~= "function" then return { type = type(value) } end
  local file, line = place(value)
  return { type = "function", file = file, line = line }
end

-- The names of `t`, those that start with "_" excepted: they are the library's own.
local function names(t, into)
  into = into or {}
  for name, value in pairs(t) do
    if type(name) == "string" and name:sub(1, 1) ~= "_" then into[name] = entry(value) end
  end
  return into
end

local function class_of(object)
  local found = names(object)
  local mt = getmetatable(object)
  while mt and type(mt.__index) == "table" do
    names(mt.__index, found)
    mt = getmetatable(mt.__index)
  end
  return found
end

result["weir"] = names(weir)
for name, value in pairs(weir) do
  if type(value) == "table" then result["weir." .. name] = names(value) end
end
for name, index in pairs(handles) do result[name] = names(index) end
result["weir.core"] = names(core)
-- No bundle is being loaded here, and policies are declared in one only.
local is_loading, job = core.is_loading, core.job
core.is_loading, core.job = function() return true end, function() end
result["weir.Cache"] = class_of(weir.cache "api_list")
result["weir.Policy"] = class_of(weir.policy("api_list", { weir.deadline "1s" }))
result["weir.Health"] = class_of(weir.health("api_list", { tcp = "127.0.0.1:1" }))
result["weir.Flag"] = class_of(weir.flag "api_list")
result["weir.HttpCache"] = class_of(weir.http_cache "api_list_http")
local selftest = core.selftest
core.selftest = function(_, _, run) run() end
weir.selftest("api_list", function(t) result["weir.Selftest"] = class_of(t) end)
core.selftest = selftest
core.is_loading, core.job = is_loading, job
result["weir.Layer"] = class_of(weir.deadline "1s")
result["weir.Limiter"] = class_of(weir.limiter "1/s")
for name in pairs(result["weir.Layer"]) do result["weir.Limiter"][name] = nil end
-- What such a layer can do besides being one.
result["weir.Chaos"] = names(getmetatable(weir.chaos { expires = "1m", status = 500 }).__index)
result["weir.Counter"] = class_of(weir.metrics.counter("api_list_total", "For api_list."))
result["weir.Gauge"] = class_of(weir.metrics.gauge("api_list", "For api_list."))
result["weir.Histogram"] = class_of(weir.metrics.histogram("api_list_seconds", "For api_list."))
-- Tables of options: every module once more, with `schema.new` watched.
local schema = require "weir.schema"
local new = schema.new
result.options = {}
function schema.new(name, fields, options)
  local made = new(name, fields, options)
  local rows = made:rows()
  for _, row in ipairs(rows) do row.default = row.default ~= nil and { row.default } or nil end
  result.options[name] = { rows = rows, positional = options and options.positional }
  return made
end
for _, name in ipairs(core.library_modules()) do
  if not name:find "^weir%.core" then core.compile_library(name)(name) end
end
schema.new = new

result.rules = core.json_array {}
for i, rule in ipairs(require "weir.core.rules") do
  result.rules[i] = { id = rule.id, why = rule.why, example = rule.example }
end

result.modules = core.json_array(core.library_modules())
return (core.json_encode(result))
