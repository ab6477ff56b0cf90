--- Health checks: is a dependency well? One worker asks at a time, all know the verdict at once.
---
--- Each worker runs a job for each check. The turn to check is a claim in shared state: the first
--- job that comes when it is due takes it; a worker that dies gives it back, one that hangs loses
--- it after a while. So a reload changes nothing: the jobs of the new generation go on where the
--- old ones were.
local composition = require "weir.core.composition"
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local health_options = schema.new("health", {
  http = schema.string { min = 1, max = 2048,
    doc = "A URL; a status from 200 to 399 is a success." },
  tcp = schema.string { min = 1, max = 261, doc = "\"host:port\" that takes connections." },
  redis = schema.string { min = 1, max = 261,
    doc = "\"host:port\" of a Redis that answers PING." },
  postgres = schema.string { min = 1, max = 261,
    doc = "\"host:port\" of a PostgreSQL that takes connections." },
  check = schema.func { doc = "function() that returns true, or nil and an error." },
  interval = schema.duration { min = "10ms", max = "1h", default = "5s",
    doc = "Between two checks." },
  timeout = schema.duration { min = "10ms", max = "1m", default = "1s",
    doc = "Limit of one check." },
  jitter = schema.ratio { default = 0.1, doc = "Spread of the interval, up and down." },
  rise = schema.integer { min = 1, max = 100, default = 2,
    doc = "Successes in a row until it is up." },
  fall = schema.integer { min = 1, max = 100, default = 3,
    doc = "Failures in a row until it is down." },
  critical = schema.boolean { default = true, doc = "While it is down, `/readyz` is 503." },
})

local kinds = { "http", "tcp", "redis", "postgres", "check" }

---@class weir.Health
local Health = {}
Health.__index = Health
Health.__tostring = function(self) return "health: " .. self.name end

--- Is it up, as far as anybody knows? True until the first check has ended.
---@return boolean
function Health:ok()
  return core.health_ok(self._handle)
end

--- The verdict and what it is made of: `state` ("up", "down", "unknown"), `ok`, `stale` (nobody
--- has checked for three intervals), `since` (seconds), `output` (what the last failure said), and
--- `history`, newest first: up to 64 of `{ ok, age, latency, error }`.
---@return table
function Health:status()
  return core.health_status(self._handle)
end

-- Checks.

local function split_address(kind, text)
  local host, port = text:match "^%[([%x:.]+)%]:(%d+)$"
  if not host then host, port = text:match "^([%w.%-_]+):(%d+)$" end
  port = tonumber(port)
  if not port or port < 1 or port > 65535 then
    error(('health: %s is "%s"; it must be "host:port"'):format(kind, text), 4)
  end
  return host, port
end

local function http_check(url, timeout)
  if not url:find "^https?://[^/]" then
    error(('health: http is "%s"; it must be a URL like "http://127.0.0.1:9000/healthz"')
      :format(url), 4)
  end
  return function()
    local res, err = core.http_request { url = url, method = "GET", timeout = timeout,
      max_body = 65536, trusted = true }
    if not res then return nil, err end
    if res.status >= 200 and res.status < 400 then return true end
    return nil, core.error("refused", ("it answers with status %d"):format(res.status))
  end
end

local function own_check(fn)
  return function()
    local ok, err = fn()
    if ok then return true end
    return nil, err or core.error("refused", "the check returned " .. tostring(ok))
  end
end

-- The check as a function that returns true, or nil and an error.
local function check_of(kind, o)
  if kind == "check" then return own_check(o.check) end
  if kind == "http" then return http_check(o.http, o.timeout) end
  local host, port = split_address(kind, o[kind])
  return function() return core.probe(kind, host, port) end
end

-- One check as a task of its own: what it raises, or computes for too long, ends that task only.
local function attempt(check, timeout)
  local depth = core.deadline_enter(timeout, true)
  local ok, err = core.race { check }
  local is_late = core.remaining() == 0
  core.leave(depth)
  if is_late then return nil, core.error("timeout", "no result within the check's time limit") end
  return ok, err
end

local function watch(handle, check, timeout)
  while true do
    local claim, at = core.health_claim(handle)
    if claim then
      local ok, err = attempt(check, timeout)
      core.health_report(handle, claim, at, ok, err)
    else
      core.sleep(at)
    end
  end
end

local declared = {} -- name -> check: what flags and breakers refer to

local function check_name(name)
  if type(name) ~= "string" then error("health: the name must be a string", 3) end
  if declared[name] then error(("health '%s' is declared twice"):format(name), 3) end
end

local function kind_of(name, o)
  local found
  for _, kind in ipairs(kinds) do
    if o[kind] ~= nil and found then
      error(("health '%s': it has both %s and %s; a check has one of them")
        :format(name, found, kind), 3)
    end
    if o[kind] ~= nil then found = kind end
  end
  if found then return found end
  error(("health '%s': say what is checked: %s"):format(name, table.concat(kinds, ", ")), 3)
end

--- Declares a health check: `weir.health("db", { postgres = "127.0.0.1:5432" })`. Its verdict is
--- kept by name, shared by all workers, and lives through reloads.
---@param name string
---@param options table
---@return weir.Health
function M.declare(name, options)
  if not core.is_loading() then
    error("health: it declares, and declarations belong to the top level of a script", 2)
  end
  check_name(name)
  local o = health_options:check(options)
  local kind = kind_of(name, o)
  local check = check_of(kind, o)
  o.type, o.target = kind, kind ~= "check" and o[kind] or nil
  local handle, message = core.health(name, o)
  if not handle then error(("health '%s': %s"):format(name, message), 2) end
  -- Repeated, so that a job that ended badly is begun again.
  core.job("health " .. name, core.where(), o.interval,
    function() watch(handle, check, o.timeout) end)
  local health = setmetatable({ name = name, _handle = handle }, Health)
  declared[name] = health
  composition.declare("health check", name, o)
  return health
end

--- The handle of the check called `name`, for what is tied to it; raises when there is none.
---@param name string
---@param what string   Who wants it, for messages.
---@param place string
---@return userdata
function M.find(name, what, place)
  if declared[name] then return declared[name]._handle end
  error(("%s: %s: there is no health check '%s'%s; declare it first"):format(place, what, name,
    schema.hint(name, declared)), 0)
end

--- All checks as a response, `application/health+json`: 200, or 503 while a critical one is down.
---@return weir.Response
function M.response()
  local status, text = core.health_page()
  return core.response(status, text, { ["Cache-Control"] = "no-store" },
    "application/health+json")
end

return M
