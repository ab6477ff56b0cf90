--- Payment: confirmed -> accepted -> an honest no.
---
--- Protects against  booking twice, and losing a sale because the provider is slow or away.
--- The client sees   the provider's answer; when there is none, what `accept` answers (202, say,
---                   with `X-Degraded: accepted`: kept, to be booked later); without `accept`, 503
---                   with Retry-After and what is known: "not_booked" when nothing left for the
---                   provider, "unknown" when something did. 400 without an Idempotency-Key.
---
--- The client's Idempotency-Key goes with each attempt; the provider books a key once. That makes
--- it safe to ask again, for us and for the client.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "payment", version = "1.0.0" }

M.schema = target.schema("payment", {
  accept = schema.func { doc = "function(req, err): keeps the payment for later and answers." },
  deadline = schema.duration { min = "1ms", default = "8s", doc = "Of all attempts." },
  timeout = schema.duration { min = "1ms", default = "3s", doc = "Of each attempt." },
  max = schema.integer { min = 1, default = 32, doc = "Payments at once." },
})

local function layers(o)
  return {
    weir.deadline(o.deadline / 1e9),
    weir.retry { max = 1, backoff = "50ms..200ms" },
    weir.breaker { failure_rate = 0.5, window = "30s", min_calls = 10, open = "2s",
      open_max = "30s", attempt_timeout = o.timeout / 1e9 },
    weir.bulkhead { max = o.max, queue = 32, wait = "100ms" },
    weir.timeout(o.timeout / 1e9),
  }
end

local function unbooked(state, err)
  return weir.json(503, { state = state, retry = "with the same Idempotency-Key" },
    { ["Retry-After"] = tostring(math.ceil(math.max(1, err and err.after or 1))) })
end

--- A handler that books once or says that it did not.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, layers(o))

  return function(req)
    if not req.headers["Idempotency-Key"] then
      return weir.json(400, { error = "an Idempotency-Key is required" })
    end
    local state = "not_booked"
    local function attempt()
      local res, err = call(req)
      if res or not err or err.sent ~= "nothing" then state = "unknown" end
      return res, err
    end
    local why
    local function confirmed()
      local res, err = guarded(attempt)
      why = err
      return res, err
    end
    local last = o.accept and { "accepted", function() return o.accept(req, why) end }
    local res = weir.ladder { name = o.name, { "confirmed", confirmed }, last }
    if res and (type(res) == "string" or res.status < 500 and res.status ~= 429) then return res end
    return unbooked(state, why)
  end
end

return M
