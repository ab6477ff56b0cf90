--- Stale on error: the last good answer is better than none.
---
--- Protects against  an outage of something that is read more often than it changes.
--- The client sees   200 and the answer of before, with `X-Degraded: stale`; an error only for what
---                   nobody has asked for in time. Answers may be as old as `stale` says.
---
--- Kept are answers with status 200 to GET, by what was asked for: path and query, or `key`.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "stale_on_error", version = "1.0.0" }

M.schema = target.schema("stale on error", {
  key = schema.func { doc = "function(req): what an answer is kept under; nil keeps it not." },
  fresh = schema.duration { default = "0s", doc = "So long an answer is served without asking." },
  stale = schema.duration { default = "1h", doc = "So long it is kept for bad times." },
  deadline = schema.duration { min = "1ms", default = "1s", doc = "Until the stale one is given." },
})

local function by_target(req)
  return req.method == "GET" and req.target or nil
end

--- A handler that remembers what it answered.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call, key_of = target.of(M.name, o), o.key or by_target
  local kept = weir.cache(o.name, { ttl = math.max(o.fresh / 1e9, 0.001), stale = o.stale / 1e9 })
  local guarded = weir.policy(o.name, { weir.deadline(o.deadline / 1e9) })

  local function ask(req, key)
    local res, err = guarded(function() return call(req) end)
    if res and res.status == 200 then return kept:set(key, res) end
    return res, err
  end

  return function(req)
    local key = key_of(req)
    if key == nil then return guarded(function() return call(req) end) end
    local found = o.fresh > 0 and kept:get(key)
    if found then return found end
    return weir.ladder {
      name = o.name,
      { "asked", function() return ask(req, key) end },
      { "stale", function() return (kept:stale(key)) end },
    }
  end
end

return M
