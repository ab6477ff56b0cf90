--- Chaos drill: does the fallback work? Find out on a Tuesday morning.
---
--- Protects against  a fallback that nobody has ever seen at work.
--- The client sees   nothing, if the policies are good: its answer, or the fallback's with
---                   `X-Degraded: fallback`.
---
--- A share of the calls is slowed down and failed as if by the upstream, inside timeout, breaker
--- and retry, which must cope. Nothing happens until somebody says so, to a weir that was started
--- with `--allow-chaos`: `weir chaos apply NAME 5m`. It ends by itself: after its time, or when too
--- many requests fail for their clients.
local weir = require "weir"
local schema = require "weir.schema"
local target = require "weir.policies.target"

local M = { name = "chaos_drill", version = "1.0.0" }

M.schema = target.schema("chaos drill", {
  fallback = schema.func { required = true, doc = "function(req): the answer of bad times." },
  probability = schema.ratio { default = 0.2, doc = "Share of the calls that are hit." },
  latency = schema.duration { doc = "They are slowed down by so much," },
  error = schema.enum { "timeout", "connect", "dns", "tls", "reset", "protocol",
    default = "reset", doc = "and fail like this." },
  only = schema.string { min = 1, doc = "Only requests that bear this header." },
  expires = schema.duration { min = "1s", max = "24h", default = "10m", doc = "Longest drill." },
  failure_rate = schema.ratio { default = 0.2,
    doc = "Ends the drill when so many requests fail for their clients." },
  deadline = schema.duration { min = "1ms", default = "2s", doc = "Of all attempts." },
  timeout = schema.duration { min = "1ms", default = "500ms", doc = "Of each attempt." },
})

local function drill(o)
  local only = o.only
  return weir.chaos {
    probability = o.probability, latency = o.latency and o.latency / 1e9, error = o.error,
    expires = o.expires / 1e9, guard = { failure_rate = o.failure_rate },
    match = only and function(req) return req.headers[only] ~= nil end,
  }
end

--- A handler that can be drilled.
---@param options table
---@return async fun(req: weir.Request): any, weir.Error?
function M.handle(options)
  local o = M.schema:check(options)
  local call = target.of(M.name, o)
  local guarded = weir.policy(o.name, {
    weir.deadline(o.deadline / 1e9),
    weir.retry { max = 1, backoff = "20ms..100ms" },
    weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, open = "2s",
      attempt_timeout = o.timeout / 1e9 },
    weir.timeout(o.timeout / 1e9),
    drill(o),
  })
  return function(req)
    return weir.ladder {
      name = o.name,
      { "answer", function() return guarded(function() return call(req) end) end },
      { "fallback", function() return o.fallback(req) end },
    }
  end
end

return M
