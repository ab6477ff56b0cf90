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
  waiters = schema.integer { min = 0, max = 65536, default = 1024,
    doc = "Calls that may wait for another's answer; 0: each asks the origin by itself." },
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

-- The answer, and whether it is on its way into the store.
local function fetch(self, req, key, fn, why)
  local res, err = fn()
  if not core.is_response(res) then return res, err end
  return res, nil, keep(self, req, key, res, why)
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

local function on_not_modified(self, req, found, res)
  local age, lifetime = core.http_cache_freshen(self._handle, found.where, req, found.response, res)
  age = age or 0
  return answer(req, found.response, age,
    ("fwd=stale; fwd-status=304; ttl=%d"):format((lifetime or 0) - age))
end

local function on_head(self, req, key, found, res)
  if core.http_cache_same(found.response, res) then
    core.http_cache_freshen(self._handle, found.where, req, found.response, res)
  else
    core.http_cache_forget(self._handle, key)
  end
  return note(res, ("fwd=stale; fwd-status=%d"):format(res.status))
end

-- The origin's news about what is stored: the answer, and whether it is on its way into the store.
local function learn(self, req, key, found, res)
  if res.status == 304 then return on_not_modified(self, req, found, res), nil, false end
  if req.method == "HEAD" then return on_head(self, req, key, found, res), nil, false end
  local kept = keep(self, req, key, res, "fwd=stale")
  if not kept and res.status < 500 then core.http_cache_forget(self._handle, key) end
  return res, nil, kept
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
  return learn(self, req, key, found, res)
end

local function ask(self, req, key, found, missing, fn)
  if found then return validate(self, req, key, found, fn) end
  return fetch(self, req, key, fn, "fwd=" .. missing)
end

-- Refreshing behind the client's back. ------------------------------------------------------------

local OF_ONE_CLIENT = { "Range", "If-Range", "If-None-Match", "If-Modified-Since", "Cache-Control",
  "Pragma" }

-- What is stored for the request; else nil, which kind of miss it is, and what to wait for.
local function find(self, req, key, is_quiet)
  local response, verdict, age, lifetime, on_error, where =
    core.http_cache_find(self._handle, key, req, is_quiet)
  if not response then return nil, verdict, age end
  return { response = response, verdict = verdict, age = age, lifetime = lifetime,
    on_error = on_error, where = where }, nil, where
end

local function renew(self, req, key, fn)
  for _, name in ipairs(OF_ONE_CLIENT) do req.headers:del(name) end
  local found, _, where = find(self, req, key, true)
  if not found or found.verdict == "serve" then return end
  local claim = core.cache_claim(self._space, where)
  if not claim then return end -- another worker did it meanwhile
  local res, err = call_with(req, found.response, fn)
  if core.is_response(res) and not is_failure(res.status) then
    learn(self, req, key, found, res)
    res:text()
  end
  core.leave(claim, res ~= nil, err)
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

local function hit(self, req, key, found, fn)
  local res = answer(req, found.response, found.age,
    ("hit; ttl=%d"):format(found.lifetime - found.age))
  if found.verdict == "refresh" then refresh(self, req, key, fn) end
  return res
end

-- Of those who want the same thing one asks the origin; the others wait until it is stored. When it
-- was not, each asks by itself.
local function ask_once(self, req, key, found, missing, where, fn)
  local claim, refusal = core.cache_claim(self._space, where)
  if claim == nil then return nil, refusal end
  if not claim then
    local why = missing or "stale"
    found, missing = find(self, req, key, true)
    if found and found.verdict ~= "validate" then
      return answer(req, found.response, found.age, ("fwd=%s; collapsed"):format(why))
    end
    return ask(self, req, key, found, missing, fn)
  end
  local res, err, kept = ask(self, req, key, found, missing, fn)
  core.leave(claim, kept and res or res ~= nil, err)
  return res, err
end

local function look(self, req, key, only_if_cached, fn)
  local found, missing, where = find(self, req, key)
  if found and found.verdict ~= "validate" then return hit(self, req, key, found, fn) end
  if only_if_cached then
    return note(responses.response(504, "not in the cache\n"), "detail=only-if-cached")
  end
  local is_plain = req.method == "GET" and not req.headers["Range"]
  if self._collapses and where and is_plain then
    return ask_once(self, req, key, found, missing, where, fn)
  end
  local res, err = ask(self, req, key, found, missing, fn)
  return res, err
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
  local handle, space = core.http_cache(name, o)
  if not handle then error(("http_cache '%s': %s"):format(name, space), 2) end
  local announces = false
  for _, target in ipairs(o.targets) do
    announces = announces or target:lower() == "surrogate-control"
  end
  return setmetatable({ name = name, _handle = handle, _space = space, _refreshing = {},
    _key = o.key and keys.resolver(o.key, core.where()),
    _collapses = o.waiters > 0, _announces = announces }, Store)
end

return M
