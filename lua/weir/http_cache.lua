--- An HTTP cache in front of a call (RFC 9111, 5861, 9211). The rules are C's; what happens in
--- which order is here.
local core = require "weir.core"
local keys = require "weir.keys"
local responses = require "weir.responses"
local schema = require "weir.schema"

local M = {}

local options = schema.new("http_cache", {
  ttl = schema.duration { min = "1s",
    doc = "Fresh for so long when the response says nothing; else a guess from Last-Modified." },
  stale_while_revalidate = schema.duration { default = 0,
    doc = "Served stale for so long while it is refreshed, when the response says nothing." },
  stale_if_error = schema.duration { default = "1h",
    doc = "Served stale for so long in place of an error, when the response says nothing." },
  keep = schema.duration { default = "1h",
    doc = "What has a validator is kept so long past its use, to be validated." },
  max_object = schema.size { min = 1, max = "1MiB", default = "1000KiB",
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
  targets = schema.list(schema.string { min = 1, max = 63 }, { max = 4,
    default = { "CDN-Cache-Control", "Surrogate-Control" },
    doc = "Fields that count instead of Cache-Control, the first that is there." }),
  key = keys.option,
})

---@class weir.HttpCache
local Store = {}
Store.__index = Store
Store.__tostring = function(self) return "http cache: " .. self.name end

-- A refresh behind the client's back is given up after so long.
local REFRESH_NS = 30e9

-- What became of the request, for clients and for those who look for mistakes (RFC 9211).
local function note(res, what)
  res.headers:add("Cache-Status", "weir; " .. what)
  return res
end

local function answer(req, stored, age, what)
  core.http_cache_answer(req, stored, age)
  return note(stored, what)
end

-- Keeps the answer if it may be kept; says which in any case.
local function keep(self, req, key, res, why)
  local kept, reason = core.http_cache_keep(self._handle, key, req, res)
  note(res, ("%s; fwd-status=%d; %s"):format(why, res.status,
    kept and "stored" or "detail=" .. reason))
  return kept
end

local function is_failure(status)
  return status == 500 or status == 502 or status == 503 or status == 504
end

-- Asking the origin. ------------------------------------------------------------------------------

local function fetch(self, req, key, fn, why)
  local res, err = fn()
  if core.is_response(res) then keep(self, req, key, res, why) end
  return res, err
end

local CONDITIONS = { "If-None-Match", "If-Modified-Since" }

-- The call with our conditions in place of the client's own.
local function call_with(req, stored, fn)
  local own = {}
  for i, name in ipairs(CONDITIONS) do own[i] = req.headers:all(name) end
  core.http_cache_condition(req, stored)
  local res, err = fn()
  for i, name in ipairs(CONDITIONS) do
    req.headers:del(name)
    for _, value in ipairs(own[i]) do req.headers:add(name, value) end
  end
  return res, err
end

-- The origin's news about what is stored. The answer, when it is the stored response.
local function learn(self, req, key, found, res)
  if res.status == 304 then
    local age, lifetime = core.http_cache_freshen(self._handle, found.where, req, found.response,
      res)
    return answer(req, found.response, age or 0,
      ("fwd=stale; fwd-status=304; ttl=%d"):format((lifetime or 0) - (age or 0)))
  end
  if req.method == "HEAD" then
    if core.http_cache_same(found.response, res) then
      core.http_cache_freshen(self._handle, found.where, req, found.response, res)
    else
      core.http_cache_forget(self._handle, key)
    end
    note(res, ("fwd=stale; fwd-status=%d"):format(res.status))
  elseif not keep(self, req, key, res, "fwd=stale") and not is_failure(res.status) then
    core.http_cache_forget(self._handle, key)
  end
end

-- What is stored is too old: asks whether it is still right, and falls back on it when the origin
-- cannot tell and the response permits that.
local function validate(self, req, key, found, fn)
  local since = core.now()
  local res, err = call_with(req, found.response, fn)
  local failed = res == nil and (not err or err.kind ~= "cancelled")
    or core.is_response(res) and is_failure(res.status)
  if failed and found.on_error > core.now() - since then
    local why = res and "fwd-status=" .. res.status or "detail=" .. (err and err.kind or "error")
    if res then core.response_drop(res) end
    return answer(req, found.response, found.age + core.now() - since, "fwd=stale; " .. why)
  end
  if not core.is_response(res) then return res, err end
  return learn(self, req, key, found, res) or res
end

-- Refreshing behind the client's back. ------------------------------------------------------------

local OF_ONE_CLIENT = { "Range", "If-Range", "If-None-Match", "If-Modified-Since", "Cache-Control",
  "Pragma" }

local function find(self, req, key, is_quiet)
  local response, verdict, age, lifetime, on_error, where =
    core.http_cache_find(self._handle, key, req, is_quiet)
  if not response then return nil, verdict end
  return { response = response, verdict = verdict, age = age, lifetime = lifetime,
    on_error = on_error, where = where }
end

local function renew(self, req, key, fn)
  for _, name in ipairs(OF_ONE_CLIENT) do req.headers:del(name) end
  local found = find(self, req, key, true)
  if found and found.verdict == "serve" then return end
  local res
  if found then res = call_with(req, found.response, fn) else res = fn() end
  if not core.is_response(res) or is_failure(res.status) then return end
  if found then learn(self, req, key, found, res) else keep(self, req, key, res, "fwd=stale") end
  res:text()
end

-- The handle of the request goes on as a copy, since the request itself may be over before this is.
local function refresh(self, req, key, fn)
  local now = core.now()
  if (self._refreshing[key] or 0) > now then return end
  self._refreshing[key] = now + REFRESH_NS / 1e9
  core.request_copy(req)
  core.spawn(function()
    core.deadline_enter(REFRESH_NS, false)
    local ok, raised = pcall(renew, self, req, key, fn)
    self._refreshing[key] = nil
    if not ok then error(raised, 0) end
  end)
end

-- One request. ------------------------------------------------------------------------------------

local function look(self, req, key, only_if_cached, fn)
  local found, missing = find(self, req, key)
  if found and found.verdict ~= "validate" then
    local res = answer(req, found.response, found.age,
      ("hit; ttl=%d"):format(found.lifetime - found.age))
    if found.verdict == "refresh" then refresh(self, req, key, fn) end
    return res
  end
  if only_if_cached then
    return note(responses.response(504, "not in the cache\n"), "detail=only-if-cached")
  end
  if not found then return fetch(self, req, key, fn, "fwd=" .. missing) end
  return validate(self, req, key, found, fn)
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
  keep(self, req, key, res, "fwd=method")
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
  if plan == "look" then return look(self, req, key, only_if_cached, fn) end
  if plan == "unsafe" then return change(self, req, key, extra, fn) end
  local res, err = fn()
  if core.is_response(res) then note(res, "fwd=" .. key) end
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
    error("http_cache: it declares, and declarations belong to the top level of a script", 2)
  end
  if type(name) ~= "string" then error("http_cache: the name must be a string", 2) end
  local o = options:check(given or {})
  local handle, message = core.http_cache(name, o)
  if not handle then error(("http_cache '%s': %s"):format(name, message), 2) end
  local announces = false
  for _, target in ipairs(o.targets) do
    announces = announces or target:lower() == "surrogate-control"
  end
  return setmetatable({ name = name, _handle = handle, _key = o.key and keys.resolver(o.key, core.where()), _announces = announces,
    _refreshing = {} }, Store)
end

return M
