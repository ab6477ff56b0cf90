--- How a cache's values are fetched: by one call for all, fresh, stale or failing.
local core = require "weir.core"

local M = {}

local NS = 1e9

-- How long after its end a remembered failure may still be read, by those who waited for it.
local SHARED = 10 * NS

-- Longest refresh in the background, where no caller's deadline bounds it.
local REFRESH = 30 * NS

-- Seconds from nanoseconds, as the core's answers are.
local function window(options, own, name)
  return (options and options[name] or own[name]) / NS
end

--- A value as it was given: numbers, booleans and tables travel as JSON; strings and responses as
--- they are.
function M.decode(value, is_json)
  if is_json then return core.json_decode(value) end
  return value
end

local decode = M.decode

-- An answer that says "not now" is no value to keep.
local function is_failure(value)
  if value == nil then return true end
  return core.is_response(value) and (value.status >= 500 or value.status == 429)
end

-- Stores text, JSON or a whole response. Whether it is stored, and the word for what became of it.
local function write(handle, key, value, ttl, more)
  if core.is_response(value) then
    return core.cache_set_response(handle, key, value, ttl, nil, more)
  elseif type(value) == "string" then
    return core.cache_set(handle, key, value, ttl, false, more)
  end
  local text, message = core.json_encode(value)
  if not text then error("cache: the value of '" .. key .. "' cannot be stored: " .. message, 0) end
  return core.cache_set(handle, key, text, ttl, true, more)
end

local function shortened(ttl, own)
  ttl = ttl or own.ttl
  if own.jitter == 0 then return ttl end
  return math.max(1, math.floor(ttl * (1 - own.jitter * core.random())))
end

--- Stores a value and returns it, with an error when it is too large; `nil, err` when a response's
--- body fails.
function M.store(cache, key, value, ttl, more)
  if core.is_response(value) then
    local body, err = value:text()
    if not body then return nil, err end
  end
  local stored, word = write(cache._handle, key, value, shortened(ttl, cache._options), more)
  if not stored and word == "too_large" then
    return value, core.error("too_large", "the value of '" .. key .. "' is too large for the cache")
  end
  return value
end

-- Failures

-- An error travels as a table of its fields; nil without an error as a table without a kind.
local function remember(cache, key, value, err, options, more)
  local keep = { failure = true, stale = SHARED, stamp = more.stamp, tags = more.tags }
  local ttl = math.max(1, options and options.negative or cache._options.negative)
  if value == nil then
    if err ~= nil and type(err) ~= "table" then
      err = { kind = "script", message = tostring(err) }
    end
    local fields = err and { kind = err.kind, message = err.message, after = err.after } or {}
    value = { error = fields }
  end
  write(cache._handle, key, value, ttl, keep)
end

-- A remembered failure: true, value, err. One that is not to be used for new calls any more still
-- tells those who have `waited` since it happened.
local function recall(cache, key, waited)
  local value, is_json, age, left = core.cache_look(cache._handle, key, true)
  if value == nil or (left == 0 and age > waited) then return false end
  if not is_json then return true, value end
  local said = core.json_decode(value).error
  if not said.kind then return true, nil end
  local err = core.error(said.kind, said.message) or core.error("script", said.message)
  err.after = said.after and math.max(0, said.after - age)
  return true, nil, err
end

-- Fetching

-- Whether a call failed because its caller's own time is up: that says nothing to others.
local function is_out_of_time(value, err)
  if value ~= nil or type(err) ~= "table" then return false end
  local left = core.remaining()
  return err.kind == "cancelled" or (left ~= nil and left <= 0)
end

-- What `fn` returns, of a response all of it.
local function call(fn)
  local value, err = fn()
  if value == nil or not core.is_response(value) then return value, err end
  local body, broken = value:text()
  if not body then return nil, broken end
  return value, err
end

-- Runs `fn` and keeps what it returns; what fails is remembered beside the value there may be.
-- Returns the results, whether they are good, and whether they are the caller's own affair.
local function run(cache, key, fn, options, more)
  local handle = cache._handle
  local value, err = call(fn)
  if is_failure(value) then
    core.cache_count(handle, "refresh_failed")
    local is_own = is_out_of_time(value, err)
    if not is_own then remember(cache, key, value, err, options, more) end
    return value, err, false, is_own
  end
  core.cache_count(handle, "refreshed")
  M.store(cache, key, value, options and options.ttl, more)
  return value, err, true
end

-- The lead goes on to the next in line when this caller's time was up.
local function leave(depth, is_own)
  if is_own then
    core.scope_unwind(depth)
  else
    core.leave(depth, true)
  end
end

local function stamped(cache, key, options)
  local tags = options and options.tags
  return { tags = tags, stamp = core.cache_stamp(cache._handle, key, tags) }
end

-- In the background, as the leader: its lead is the first thing that its task has open.
local function refresh(cache, key, fn, options)
  core.deadline_enter(REFRESH, false)
  local _, _, _, is_own = run(cache, key, fn, options, stamped(cache, key, options))
  leave(0, is_own)
end

local function refresh_soon(cache, key, fn, options)
  if recall(cache, key, -1) then return end
  if not core.cache_refresh(cache._handle, key, refresh, cache, key, fn, options) then return end
  -- `fn` was written for the request, and may ask it for something when its client has long gone.
  local req = core.current_request()
  if req then core.request_keep(req) end
end

-- Early by an exponential draw, so that many readers of one key rarely draw it together (XFetch).
local function is_early(cache, left)
  local early = cache._options.early / NS
  return early > 0 and left <= -early * math.log(1 - core.random())
end

local function counted(cache, how, value, err)
  core.cache_count(cache._handle, how)
  return value, err, how
end

-- What may be served when nothing is fresh: the old value within its window, else what failed.
local function fall_back(cache, key, options, value, err, how)
  local old, is_json, _, _, stale_for = core.cache_look(cache._handle, key, false)
  if old ~= nil and stale_for <= window(options, cache._options, "stale_error") then
    return counted(cache, "stale", decode(old, is_json))
  end
  return counted(cache, how, value, err)
end

-- As the one that fetches. Somebody may have done so between the look and the claim.
local function lead(cache, key, fn, options, depth)
  local value, is_json, _, left = core.cache_look(cache._handle, key, false)
  if value ~= nil and left > 0 then
    core.leave(depth, true)
    return counted(cache, "hit", decode(value, is_json))
  end
  local made, err, is_good, is_own = run(cache, key, fn, options, stamped(cache, key, options))
  leave(depth, is_own)
  if is_good then return counted(cache, "miss", made, err) end
  return fall_back(cache, key, options, made, err, "miss")
end

-- As one that waited. What the leader left is there, fresh when it was stored, unless it could not
-- be: then every one of those who waited goes alone, for one after the other would take too long.
local function follow(cache, key, fn, options, since)
  local waited = core.now() - since
  local value, is_json, age, left = core.cache_look(cache._handle, key, false)
  if value ~= nil and (left > 0 or age <= waited) then
    return counted(cache, "coalesced", decode(value, is_json))
  end
  local failed, answer, err = recall(cache, key, waited)
  if failed then return fall_back(cache, key, options, answer, err, "coalesced") end
  local made, problem, is_good = run(cache, key, fn, options, stamped(cache, key, options))
  if is_good then return counted(cache, "miss", made, problem) end
  return fall_back(cache, key, options, made, problem, "miss")
end

--- See Cache:fetch. `options` were checked.
function M.fetch(cache, key, fn, options)
  local handle = cache._handle
  local value, is_json, _, left, stale_for = core.cache_look(handle, key, false)
  if value ~= nil and left > 0 then
    if is_early(cache, left) then refresh_soon(cache, key, fn, options) end
    return counted(cache, "hit", decode(value, is_json))
  end
  if value ~= nil and stale_for < window(options, cache._options, "stale") then
    refresh_soon(cache, key, fn, options)
    return counted(cache, "stale", decode(value, is_json))
  end
  local failed, answer, err = recall(cache, key, -1)
  if failed then return fall_back(cache, key, options, answer, err, "negative") end
  local since = core.now()
  local depth, refusal = core.cache_claim(handle, key)
  if depth then return lead(cache, key, fn, options, depth) end
  if depth == false then return follow(cache, key, fn, options, since) end
  return fall_back(cache, key, options, nil, refusal, "miss")
end

return M
