--- An HTTP cache in front of a call (RFC 9111, 5861, 9211). The rules are C's; what happens in
--- which order is here.
local composition = require "weir.core.composition"
local core = require "weir.core"
local keys = require "weir.keys"
local origin = require "weir.core.http_origin"
local responses = require "weir.responses"
local schema = require "weir.schema"

local M = {}

local options = schema.new("http cache", {
  ttl = schema.duration { min = "1s",
    doc = "Fresh for so long when the response says nothing; else a guess from Last-Modified." },
  stale_while_revalidate = schema.duration { default = 0,
    doc = "Served stale for so long while it is refreshed, when the response says nothing." },
  stale_if_error = schema.duration { default = "1h",
    doc = "Served stale for so long in place of an error, when the response says nothing." },
  keep = schema.duration { default = "1h",
    doc = "What has a validator is kept so long past its use, to be validated." },
  max_object = schema.size { min = 1, max = "3MiB", default = "1MiB",
    doc = "Largest body that is stored." },
  heuristic = schema.ratio { default = 0.1,
    doc = "The guess: this share of the time since Last-Modified; 0 is off." },
  heuristic_max = schema.duration { default = "24h", doc = "Bound of the guess." },
  shared = schema.boolean { default = true,
    doc = "Serves several users; false for a cache of one user's own." },
  set_cookie = schema.enum { "public", "never", "always", default = "public",
    doc = "Store what sets a cookie: when it says public or s-maxage, never, or like all else." },
  obey_requests = schema.boolean { default = true,
    doc = "Clients may ask for fresher, staler or stored answers in Cache-Control." },
  targets = schema.list(schema.string { min = 1, max = 63,
    pattern = "^[%w!#$&'*+.^_`|~%-]+$", what = "a header's name" }, { max = 4,
    doc = "Count instead of Cache-Control; CDN-Cache-Control, Surrogate-Control unless given." }),
  waiters = schema.integer { min = 0, max = 65536, default = 1024,
    doc = "Calls that may wait for another's answer; 0: each asks the origin by itself." },
  key = keys.option,
})

local TARGETS = { "CDN-Cache-Control", "Surrogate-Control" }

---@class weir.HttpCache
local Store = {}
Store.__index = Store
Store.__tostring = function(self) return "http cache: " .. self.name end

-- One request. ------------------------------------------------------------------------------------

local function hit(self, req, key, found, fn)
  local res = origin.answer(req, found.response, found.age,
    ("hit; ttl=%d"):format(found.lifetime - found.age))
  core.cache_count(self._space, found.verdict == "refresh" and "stale" or "hit")
  if found.verdict == "refresh" then origin.refresh(self, req, key, found.where, fn) end
  return res
end

-- Of those who want the same thing one asks the origin; the others wait until it is stored. When it
-- was not, each asks by itself.
local function ask_once(self, req, key, found, missing, where, fn)
  local claim, refusal = core.cache_claim(self._space, where)
  if claim == nil then
    if not found or found.on_error <= 0 then return nil, refusal end
    return origin.answer(req, found.response, found.age, "fwd=stale; detail=" .. refusal.kind)
  end
  if not claim then
    local why = missing or "stale"
    found, missing = origin.find(self, req, key)
    if found and found.verdict ~= "validate" then
      core.cache_count(self._space, "coalesced")
      return origin.answer(req, found.response, found.age, ("fwd=%s; collapsed"):format(why))
    end
    return origin.ask(self, req, key, found, missing, fn)
  end
  local res, err, kept = origin.ask(self, req, key, found, missing, fn)
  core.leave(claim, kept and res or res and true, err)
  return res, err
end

-- Is there a use in waiting for what another gets? A part, or a 304 to a condition of the client's,
-- is for the one who asked.
local function is_for_all(req, found)
  if req.method ~= "GET" or req.headers["Range"] then return false end
  return found or not (req.headers["If-None-Match"] or req.headers["If-Modified-Since"])
end

local function look(self, req, key, only_if_cached, fn)
  local found, missing, where = origin.find(self, req, key)
  if found and found.verdict ~= "validate" then return hit(self, req, key, found, fn) end
  if only_if_cached then
    return origin.note(responses.response(504, "not in the cache\n"), "detail=only-if-cached")
  end
  if self._collapses and where and is_for_all(req, found) then
    return ask_once(self, req, key, found, missing, where, fn)
  end
  return origin.ask(self, req, key, found, missing, fn)
end

-- A request that may change things (RFC 9111 4.4). When nobody knows whether it did, it counts as
-- if.
local function change(self, req, key, extra, fn)
  local res, err = fn()
  if not core.is_response(res) then
    if res == nil and err and err.sent ~= "nothing" then
      core.http_cache_forget(self._handle, key)
    end
    return res, err
  end
  if res.status < 400 then
    core.http_cache_forget(self._handle, key)
    core.http_cache_forget_named(self._handle, req, res, extra)
  end
  origin.keep(self, req, key, core.cache_stamp(self._space, key), res, "fwd=method")
  return res
end

--- Answers from the store, or calls `fn`, which asks the origin, and stores what may be stored
--- while it flows to the client. `fn` must forward `req` itself: its fields are the key.
---@async
---@param req weir.Request
---@param fn async fun(): weir.Response?, weir.Error?
---@return weir.Response?
---@return weir.Error?
function Store:serve(req, fn)
  local extra = self._key and self._key()
  if self._announces then req.headers:set("Surrogate-Capability", 'weir="Surrogate/1.0"') end
  local plan, key, only_if_cached = core.http_cache_plan(self._handle, req, extra)
  local res, err
  if plan == "look" then
    res, err = look(self, req, key, only_if_cached, fn)
  elseif plan == "unsafe" then
    res, err = change(self, req, key, extra, fn)
  else
    res, err = fn()
    if core.is_response(res) then origin.note(res, "fwd=" .. key) end
  end
  return res, err
end

--- Forgets what is stored under a path (and query) of the request's host, all its variants: by
--- default the request's own.
---@param req weir.Request
---@param path string?
function Store:forget(req, path)
  local key = core.http_cache_key(self._handle, req, self._key and self._key(), path)
  if key then core.http_cache_forget(self._handle, key) end
end

--- Declares an HTTP cache: `weir.http_cache("pages", { stale_if_error = "1d" })`. What is stored
--- lies in the memory that all caches share, is every worker's, and outlives reloads.
---@param name string
---@param given table?
---@return weir.HttpCache
function M.open(name, given)
  if not core.is_loading() then
    error("http cache: it declares, and declarations belong to the top level of a script", 2)
  end
  if type(name) ~= "string" then error("http cache: the name must be a string", 2) end
  local o = options:check(given or {})
  o.targets = o.targets or TARGETS
  local handle, space = core.http_cache(name, o)
  if not handle then error(("http cache '%s': %s"):format(name, space), 2) end
  local announces = false
  for _, target in ipairs(o.targets) do
    announces = announces or target:lower() == "surrogate-control"
  end
  local cache = setmetatable({ name = name, _handle = handle, _space = space, _refreshing = {},
    _key = o.key and keys.resolver(o.key, core.where()),
    _collapses = o.waiters > 0, _announces = announces }, Store)
  composition.add("caches", cache, name)
  composition.declare("http cache", name, o)
  return cache
end

return M
