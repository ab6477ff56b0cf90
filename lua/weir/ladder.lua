--- Fallback ladders: ordered, named rungs; the first that answers acceptably is served.
---
--- The rung is part of the answer: `X-Degraded: cached` in the response (not for the first rung),
--- `rung` in the access log, and `weir_fallback_total{name, step}`.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local note = core.rung

local rung_options = schema.new("ladder rung", {
  deadline = schema.duration { min = "1ms", doc = "Limit of this rung." },
  max = schema.integer { min = 1, max = 1000000, doc = "Calls of this rung at once." },
})

-- Options of a rung as written, validated once; the same tables come again when rungs are kept.
local checked = setmetatable({}, { __mode = "k" })

local function options_of(rung)
  if rung.deadline == nil and rung.max == nil then return nil end
  local known = checked[rung]
  if not known then
    known = rung_options:check { deadline = rung.deadline, max = rung.max }
    checked[rung] = known
  end
  return known
end

-- A rung that raises is a rung that failed: the next one may still serve the client.
local function attempt(fn)
  local mark = core.scope_mark()
  local ok, value, err = pcall(fn)
  if ok then return value, err end
  core.scope_unwind(mark)
  core.log("error", "a rung raised: " .. tostring(value))
  return nil, core.error("script", tostring(value))
end

local function bounded(ladder, rung, options)
  local slot
  if options.max then
    local name = ladder or core.current_route() or "ladder"
    local handle = core.bulkhead(name .. "/" .. rung[1], { max = options.max, queue = 0 })
    local refusal
    slot, refusal = core.enter(handle)
    if not slot then return nil, refusal end
  end
  local limit = options.deadline and core.deadline_enter(options.deadline, true)
  local value, err = attempt(rung[2])
  if limit then core.leave(limit) end
  if slot then core.leave(slot, value, err) end
  return value, err
end

local function check_rung(rung, i)
  if type(rung) ~= "table" or type(rung[1]) ~= "string" or type(rung[2]) ~= "function" then
    error(("ladder: rung %d must be { \"name\", function }"):format(i), 3)
  end
end

-- What fell through is not read any more: its connection and permits go back now.
local function discard(value)
  if value ~= nil and core.is_response(value) then core.response_drop(value) end
end

-- A plain text becomes the response that it would be, so that it can say which rung it is from.
local function as_response(text, rung)
  local response = core.response(200, text, nil, "text/plain; charset=utf-8")
  core.response_degrade(response, rung[1])
  return response
end

--- Tries the rungs in order and returns the first acceptable answer: not nil, and not a response
--- with status 429 or from 500 up. A rung that raises has failed. When all fail, the last response
--- that came is returned, else the error of the first rung, for that is the one that tells what is
--- wrong.
---
---     return weir.ladder {
---       { "fresh",  function() return guarded(function() return up:forward(req) end) end },
---       { "cached", function() return cache:stale(req.params.id) end, max = 100 },
---       { "static", function() return weir.json(200, {}) end },
---     }
---@async
---@param rungs table[]   Each { name, function, deadline = duration?, max = integer? }.
---@return any value
---@return weir.Error? err
function M.run(rungs)
  if type(rungs) ~= "table" or #rungs == 0 then error("ladder: give a list of rungs", 2) end
  local name, count = rungs.name, #rungs
  local first_error, last
  for i = 1, count do
    local rung = rungs[i]
    check_rung(rung, i)
    local options = options_of(rung)
    local value, err
    if options then
      value, err = bounded(name, rung, options)
    else
      value, err = attempt(rung[2])
    end
    if note(name, rung[1], i, count, value) then
      discard(last)
      return i > 1 and type(value) == "string" and as_response(value, rung) or value
    end
    first_error = first_error or err
    if value ~= nil then
      discard(last)
      last = value
    end
  end
  if last ~= nil then return last end
  return nil, first_error or core.error("no_endpoint", "no rung of the ladder had an answer")
end

return M
