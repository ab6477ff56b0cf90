--- Named caches shared by all workers: bounded memory, a time to live, one fetch for all who ask at
--- once, and stale values for bad days.
local composition = require "weir.core.composition"
local core = require "weir.core"
local fetching = require "weir.fetching"
local schema = require "weir.schema"

local M = {}

local tags_option = schema.list(schema.string { min = 1, max = 256 },
  { max = 8, doc = "What `purge_tag` finds it by." })

local cache_options = schema.new("cache", {
  ttl = schema.duration { min = "1ms", default = "60s", doc = "Fresh for so long." },
  stale = schema.duration { default = 0,
    doc = "Then `fetch` serves it for so long at once, while one call refreshes it." },
  stale_error = schema.duration {
    doc = "And for so long when the refresh fails. Default: as `stale`, or 1h without it." },
  negative = schema.duration { default = "1s",
    doc = "`fetch` remembers a failure, or nil, for so long; 0 is off." },
  jitter = schema.ratio { default = 0, doc = "Shortens each ttl by a random share up to this." },
  early = schema.duration { default = 0,
    doc = "`fetch` refreshes at random about so long before the ttl ends; 0 is off." },
  max_entry = schema.size { min = 1, max = "3MiB", default = "512KiB", doc = "Largest value." },
  waiters = schema.integer { min = 0, max = 65536, default = 4096,
    doc = "Calls that may wait for another call's fetch." },
})

local set_options = schema.new("cache set", {
  ttl = schema.duration { min = "1ms", doc = "Instead of the cache's own." },
  tags = tags_option,
}, { positional = "ttl" })

local fetch_options = schema.new("cache fetch", {
  ttl = schema.duration { min = "1ms", doc = "Instead of the cache's own." },
  tags = tags_option,
  stale = schema.duration { doc = "Instead of the cache's own." },
  stale_error = schema.duration { doc = "Instead of the cache's own." },
  negative = schema.duration { doc = "Instead of the cache's own." },
}, { positional = "ttl" })

---@class weir.Cache
local Cache = {}
Cache.__index = Cache
Cache.__tostring = function(self) return "cache: " .. self.name end

--- The fresh value under `key`, or nil. The second result is its age in seconds.
---@param key string
---@return any
---@return number? age
function Cache:get(key)
  local value, is_json, age = core.cache_get(self._handle, key, false)
  if value == nil then return nil end
  return fetching.decode(value, is_json), age
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
  return fetching.decode(value, is_json), age, is_stale
end

--- Stores a string, number, boolean, table (as JSON) or response (status, a few fields and the
--- body, which is read to its end first). Returns the value, so that a rung can end in `return
--- cache:set(key, res)`, and an error of kind `too_large` when it was too large to store; `nil,
--- err` when a response's body fails on the way.
---@async
---@param key string
---@param value any
---@param options string|number|table?   A ttl instead of the cache's own, or { ttl, tags }.
---@return any
---@return weir.Error?
function Cache:set(key, value, options)
  if value == nil then error("cache:set: the value is nil; use cache:delete", 2) end
  local o = options ~= nil and set_options:check(options) or {}
  return fetching.store(self, key, value, o.ttl, { tags = o.tags })
end

--- The value under `key`; when there is no fresh one, what `fn` returns, which is stored. Of all
--- calls of all workers that miss the same key at once one runs `fn`, the others wait for it within
--- their deadlines. A stale value is served at once while one call refreshes it in the background
--- (`stale`), or when the refresh fails (`stale_error`). A failure, `nil, err` or a response with
--- status 429 or from 500 up, never replaces a value; it is remembered for `negative` and returned
--- to all who ask meanwhile. The third result is how it was served: "hit", "stale", "miss",
--- "coalesced" or "negative".
---@async
---@param key string
---@param fn async fun(): any, weir.Error?
---@param options string|number|table?   A ttl, or { ttl, tags, stale, stale_error, negative }.
---@return any
---@return weir.Error?
---@return string how
function Cache:fetch(key, fn, options)
  if type(fn) ~= "function" then error("cache:fetch: give a key and a function", 2) end
  local o = options ~= nil and fetch_options:check(options) or nil
  return fetching.fetch(self, key, fn, o)
end

--- Forgets a value, and one that is on its way. True when there was one.
---@param key string
---@return boolean
function Cache:purge(key)
  return core.cache_delete(self._handle, key)
end

Cache.delete = Cache.purge

--- Forgets all values that were stored with this tag, and those on their way; at once in all
--- workers, whatever their number. Now and then another tag falls with it.
---@param tag string
function Cache:purge_tag(tag)
  if type(tag) ~= "string" or tag == "" then error("cache:purge_tag: give a tag", 2) end
  core.cache_purge_tag(self._handle, tag)
end

local opened = {} -- name -> cache: `weir.cache "x"` in a handler finds what the top level declared

-- What is kept for the longer of both windows; without either an hour, for `cache:stale`.
local function settle_windows(o, given)
  if o.stale_error == nil then
    o.stale_error = given.stale ~= nil and o.stale or core.duration "1h"
  end
end

--- The cache of that name: `weir.cache("recs", { ttl = "30s" })` at load, `weir.cache "recs"`
--- anywhere.
---@param name string
---@param options table?
---@return weir.Cache
function M.open(name, options)
  local known = opened[name]
  if known and options == nil then return known end
  if type(name) ~= "string" then error("cache: the name must be a string", 2) end
  if not core.is_loading() then
    error(("cache: there is no cache '%s'%s; declare it at the top level"):format(name,
      schema.hint(name, opened)), 2)
  end
  local o = cache_options:check(options or {})
  settle_windows(o, options or {})
  local handle, message = core.cache(name, {
    ttl = o.ttl, stale = math.max(o.stale, o.stale_error), max_entry = o.max_entry,
    waiters = o.waiters,
  })
  if not handle then error(("cache '%s': %s"):format(name, message), 2) end
  local cache = setmetatable({ name = name, _handle = handle, _options = o }, Cache)
  opened[name] = cache
  composition.add("caches", cache, name)
  composition.declare("cache", name, o)
  return cache
end

return M
