--- The HTTP cache and the origin behind it: asking, learning from the answer, refreshing behind the
--- client's back. `self` is a store of weir.http_cache.
local core = require "weir.core"

local M = {}

-- A refresh behind the client's back is given up after so long.
local REFRESH_NS = 30e9

-- What became of the request, for clients and for those who look for mistakes (RFC 9211).
function M.note(res, what)
  res.headers:add("Cache-Status", "weir; " .. what)
  return res
end

function M.answer(req, stored, age, what)
  core.http_cache_answer(req, stored, age)
  return M.note(stored, what)
end

-- Keeps the answer if it may be kept and the resource was not forgotten since `stamp`; says which
-- in any case.
function M.keep(self, req, key, stamp, res, why)
  local kept, reason = core.http_cache_keep(self._handle, key, req, res, stamp)
  M.note(res, ("%s; fwd-status=%d; %s"):format(why, res.status,
    kept and "stored" or "detail=" .. reason))
  return kept
end

local function is_failure(status)
  return status == 500 or status == 502 or status == 503 or status == 504
end

-- Does an answer that is not stored outdate what is? A 401 or 429 is about the one who asked.
local function is_successor(status)
  return status < 400 or status == 404 or status == 410
end

-- Asking the origin. ------------------------------------------------------------------------------

-- The answer, and whether it is on its way into the store.
local function fetch(self, req, key, fn, why)
  local stamp = core.cache_stamp(self._space, key)
  local res, err = fn()
  core.cache_count(self._space, "miss")
  if not core.is_response(res) then return res, err end
  return res, nil, M.keep(self, req, key, stamp, res, why)
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

local function freshen(self, req, key, stamp, found, res)
  return core.http_cache_freshen(self._handle, key, found.where, req, found.response, res, stamp)
end

local function on_not_modified(self, req, key, stamp, found, res)
  local age, lifetime = freshen(self, req, key, stamp, found, res)
  age = age or 0
  return M.answer(req, found.response, age,
    ("fwd=stale; fwd-status=304; ttl=%d"):format((lifetime or 0) - age))
end

local function on_head(self, req, key, stamp, found, res)
  if core.http_cache_same(found.response, res) then
    freshen(self, req, key, stamp, found, res)
  else
    core.http_cache_forget(self._handle, key)
  end
  return M.note(res, ("fwd=stale; fwd-status=%d"):format(res.status))
end

-- The origin's news about what is stored: the answer, and whether it is on its way into the store.
local function learn(self, req, key, stamp, found, res)
  if res.status == 304 then
    return on_not_modified(self, req, key, stamp, found, res), nil, false
  end
  if req.method == "HEAD" then return on_head(self, req, key, stamp, found, res), nil, false end
  local kept = M.keep(self, req, key, stamp, res, "fwd=stale")
  if not kept and is_successor(res.status) then core.http_cache_forget(self._handle, key) end
  return res, nil, kept
end

-- What is stored is too old: asks whether it is still right, and falls back on it when the origin
-- cannot tell and the response permits that.
local function validate(self, req, key, found, fn)
  local since, stamp = core.now(), core.cache_stamp(self._space, key)
  local res, err = call_with(req, found.response, fn)
  local failed = res == nil and (not err or err.kind ~= "cancelled")
    or core.is_response(res) and is_failure(res.status)
  if failed and found.on_error > core.now() - since then
    local why = res and "fwd-status=" .. res.status or "detail=" .. (err and err.kind or "error")
    if res then core.response_drop(res) end
    core.cache_count(self._space, "stale")
    return M.answer(req, found.response, found.age + core.now() - since, "fwd=stale; " .. why)
  end
  core.cache_count(self._space, "miss")
  if not core.is_response(res) then return res, err end
  return learn(self, req, key, stamp, found, res)
end

function M.ask(self, req, key, found, missing, fn)
  if found then return validate(self, req, key, found, fn) end
  return fetch(self, req, key, fn, "fwd=" .. missing)
end

-- Refreshing behind the client's back. ------------------------------------------------------------

local OF_ONE_CLIENT = { "Range", "If-Range", "If-None-Match", "If-Modified-Since", "Cache-Control",
  "Pragma" }

-- What is stored for the request; else nil, which kind of miss it is, and what to wait for.
function M.find(self, req, key)
  local response, verdict, age, lifetime, on_error, where =
    core.http_cache_find(self._handle, key, req)
  if not response then return nil, verdict, age end
  return { response = response, verdict = verdict, age = age, lifetime = lifetime,
    on_error = on_error, where = where }, nil, where
end

local function renew(self, req, key, fn)
  for _, name in ipairs(OF_ONE_CLIENT) do req.headers:del(name) end
  local found, _, where = M.find(self, req, key)
  if not found or found.verdict == "serve" then return end
  local claim = core.cache_claim(self._space, where)
  if not claim then return end -- another worker did it meanwhile
  local stamp = core.cache_stamp(self._space, key)
  local res, err = call_with(req, found.response, fn)
  local ok = core.is_response(res) and not is_failure(res.status)
  core.cache_count(self._space, ok and "refreshed" or "refresh_failed")
  if ok then
    learn(self, req, key, stamp, found, res)
    res:text()
  end
  core.leave(claim, res ~= nil, err)
end

-- The handle of the request goes on as a copy, since the request itself may be over before this is.
function M.refresh(self, req, key, where, fn)
  local now = core.now()
  if (self._refreshing[where] or 0) > now then return end
  self._refreshing[where] = now + REFRESH_NS / 1e9
  core.request_copy(req)
  core.spawn(function()
    core.deadline_enter(REFRESH_NS, false)
    local ok, raised = pcall(renew, self, req, key, fn)
    self._refreshing[where] = nil
    if not ok then error(raised, 0) end
  end)
end

return M
