--- Canary: a share of the clients is served by the new version, always the same ones.
---
--- Protects against  a bad release reaching everybody at once.
--- The client sees   `X-Variant: canary` or `stable`. When the canary fails a request that may be
---                   repeated, the stable version answers it; when it keeps failing, its breaker
---                   sends everybody to the stable one, until it is better.
---
--- The share is a feature flag of the policy's name: `weir flag percent NAME 25` raises it while
--- weir runs, `weir flag off NAME` ends it. A client keeps its side as long as the share does not
--- shrink. Who cannot be told apart (no such header) is served by the stable version.
local weir = require "weir"
local keys = require "weir.keys"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "canary", version = "1.0.0" }

M.schema = target.schema("canary", {
  canary = schema.any { required = true, doc = "The new version: an upstream or a function(req)." },
  percent = schema.number { min = 0, max = 100, default = 5, doc = "Of the clients." },
  key = schema.either { schema.string { min = 1, max = 200 }, schema.func(), default = "client",
    doc = "Who is a client: \"client\", \"header:NAME\" or a function(req)." },
  deadline = schema.duration { min = "1ms", default = "2s", doc = "Of a call to the canary." },
})

local function canary_of(o)
  local given = type(o.canary) == "function" and "call" or "upstream"
  return target.of(M.name, { name = o.name, [given] = o.canary })
end

-- The stable version's answer stands beside nothing, so only the canary is guarded here.
local function layers(o)
  return {
    weir.deadline(o.deadline / 1e9),
    weir.breaker { failure_rate = 0.2, window = "30s", min_calls = 10, consecutive = 5,
      open = "30s", open_max = "10m" },
  }
end

local function marked(res, variant)
  if res and type(res) ~= "string" then res.headers:set("X-Variant", variant) end
  return res
end

-- Worth asking the stable version: nothing was done, or it may be done again.
local function may_ask_again(req, res, err)
  if err then return err.retryable or err.kind == "refused" end
  return res.status >= 500 and (req.method == "GET" or req.method == "HEAD")
end

--- A handler that splits between two versions.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local stable, canary = target.of(M.name, o), canary_of(o)
  local flag = weir.flag(o.name, { percent = o.percent })
  local key_of = keys.resolver(o.key, "policy canary")
  local guarded = weir.policy(o.name, layers(o))

  return function(req)
    local key = key_of()
    if key and flag:on(key) then
      local res, err = guarded(function() return canary(req) end)
      if type(res) == "string" or not may_ask_again(req, res, err) then
        return marked(res, "canary"), err
      end
    end
    local res, err = stable(req)
    return marked(res, "stable"), err
  end
end

return M
