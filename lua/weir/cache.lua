--- Named caches shared by all workers: bounded memory, a time to live, and stale values for bad
--- days.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local cache_options = schema.new("cache", {
  ttl = schema.duration { min = "1ms", default = "60s", doc = "Fresh for so long." },
  stale = schema.duration { default = "1h", doc = "Then kept so long for `stale`." },
  max_entry = schema.size { min = 1, max = "1000KiB", default = "512KiB", doc = "Largest value." },
})

local set_options = schema.new("cache set", { ttl = schema.duration { min = "1ms" } },
  { positional = "ttl" })

---@class weir.Cache
local Cache = {}
Cache.__index = Cache
Cache.__tostring = function(self) return "cache: " .. self.name end

-- Numbers, booleans and tables travel as JSON; strings and responses as they are.
local function decode(value, is_json)
  if is_json then return core.json_decode(value) end
  return value
end

--- The fresh value under `key`, or nil. The second result is its age in seconds.
---@param key string
---@return any
---@return number? age
function Cache:get(key)
  local value, is_json, age = core.cache_get(self._handle, key, false)
  if value == nil then return nil end
  return decode(value, is_json), age
end

--- The value under `key`, fresh or stale, or nil. The second result is its age in seconds, the
--- third whether it is stale.
---@param key string
---@return any
---@return number? age
---@return boolean? is_stale
function Cache:stale(key)
  local value, is_json, age, is_stale = core.cache_get(self._handle, key, true)
  if value == nil then return nil end
  return decode(value, is_json), age, is_stale
end

--- Stores a string, number, boolean, table (as JSON) or response (status, a few fields and the
--- body, which is read to its end first). Returns the value, so that a rung can end in `return
--- cache:set(key, res)`; `nil, err` when a response's body fails on the way. A value that is too
--- large is not stored.
---@async
---@param key string
---@param value any
---@param ttl string|number?   Instead of the cache's own.
---@return any
---@return weir.Error?
function Cache:set(key, value, ttl)
  local ns = ttl ~= nil and set_options:check(ttl).ttl or nil
  if core.is_response(value) then
    local body, err = value:text()
    if not body then return nil, err end
    core.cache_set_response(self._handle, key, value, ns)
  elseif type(value) == "string" then
    core.cache_set(self._handle, key, value, ns, false)
  elseif value == nil then
    error("cache:set: the value is nil; use cache:delete", 2)
  else
    local text, message = core.json_encode(value)
    if not text then error("cache:set: " .. message, 2) end
    core.cache_set(self._handle, key, text, ns, true)
  end
  return value
end

--- Forgets a value. True when there was one.
---@param key string
---@return boolean
function Cache:delete(key)
  return core.cache_delete(self._handle, key)
end

local opened = {} -- name -> cache: `weir.cache "x"` in a handler finds what the top level declared

--- The cache of that name: `weir.cache("recs", { ttl = "30s" })` at load, `weir.cache "recs"`
--- anywhere.
---@param name string
---@param options table?
---@return weir.Cache
function M.open(name, options)
  local known = opened[name]
  if known and options == nil then return known end
  if type(name) ~= "string" then error("cache: the name must be a string", 2) end
  local handle, message = core.cache(name, cache_options:check(options or {}))
  if not handle then error(("cache '%s': %s"):format(name, message), 2) end
  local cache = setmetatable({ name = name, _handle = handle }, Cache)
  opened[name] = cache
  return cache
end

return M
