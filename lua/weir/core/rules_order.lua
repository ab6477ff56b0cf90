--- Rules of order: pairs of layers that stand the wrong way round, each with the reason.
---
--- The usual order, outside in: shedder, cache, deadline, retry, hedge, breaker, limiter, bulkhead,
--- timeout, chaos. Only the inversions that do harm are rules; a pair counts within one policy,
--- unless it is `across`: then in a policy inside another, too.

local subject = require "weir.core.subject"
local timing = require "weir.core.timing"

---@class weir.OrderRule
---@field outer string
---@field inner string
---@field id string
---@field why string
---@field advice string
---@field across boolean?
---@field only (fun(outer: weir.Step, inner: weir.Step): boolean?)?

-- Limits who asks; without a key it limits what the upstream is asked.
local function is_outbound(step) return step.options.key == nil end

local function waits(_, inner) return timing.wait(inner) > 0 end

---@type weir.OrderRule[]
local pairs_of = {
  { outer = "breaker", inner = "retry", id = "breaker-outside-retry",
    why = "it sees one call where there were several attempts, so it opens late",
    advice = "put the breaker inside retry" },
  { outer = "breaker", inner = "hedge", id = "breaker-outside-hedge",
    why = "it sees only the winner, and not the slow calls that hedging covers up",
    advice = "put the breaker inside hedge" },
  { outer = "hedge", inner = "retry", id = "hedge-outside-retry",
    why = "each hedge retries by itself, so the attempts multiply",
    advice = "put hedge inside retry" },
  { outer = "bulkhead", inner = "retry", id = "bulkhead-outside-retry",
    why = "a slot is held through the pauses between attempts",
    advice = "put the bulkhead inside retry" },
  { outer = "bulkhead", inner = "breaker", id = "bulkhead-outside-breaker",
    why = "while the breaker is open, calls still queue for slots, only to be refused",
    advice = "put the bulkhead inside the breaker" },
  { outer = "bulkhead", inner = "limiter", id = "bulkhead-outside-limiter", only = waits,
    why = "a slot is held by calls that wait for the limiter",
    advice = "put the bulkhead inside the limiter" },
  { outer = "limiter", inner = "retry", id = "limiter-outside-retry", only = is_outbound,
    why = "it counts a call once however often it is attempted, so the upstream may be asked "
      .. "beyond the rate",
    advice = "put it inside retry; one that limits clients has a key and may stay outside" },
  { outer = "limiter", inner = "breaker", id = "limiter-outside-breaker", only = is_outbound,
    why = "calls that the open breaker refuses use up the rate",
    advice = "put the limiter inside the breaker" },
  { outer = "throttle", inner = "retry", id = "throttle-outside-retry",
    why = "it counts a call once however often it is attempted, and lets the rest knock",
    advice = "put the throttle inside retry" },
  { outer = "timeout", inner = "retry", id = "timeout-outside-retry",
    why = "it ends all attempts together under the name of one attempt's limit",
    advice = "put the timeout innermost, and a weir.deadline outermost" },
  { outer = "timeout", inner = "hedge", id = "timeout-outside-hedge",
    why = "the hedge starts late and is cut off with the primary",
    advice = "put the timeout inside hedge" },
  { outer = "timeout", inner = "bulkhead", id = "timeout-outside-bulkhead", only = waits,
    why = "waiting for a slot uses up the attempt's time, so our own queue looks like a slow "
      .. "upstream",
    advice = "put the timeout inside the bulkhead" },
  { outer = "retry", inner = "deadline", id = "deadline-inside-retry",
    why = "an attempt that a deadline ends is not repeated",
    advice = "put the deadline outside retry, and limit the attempt with weir.timeout" },
  { outer = "retry", inner = "cache", id = "cache-inside-retry", across = true,
    why = "every attempt looks into the cache again, and a miss is not worth repeating",
    advice = "put the cache outside retry" },
  { outer = "retry", inner = "shedder", id = "shedder-inside-retry", across = true,
    why = "what was shed comes back as an attempt, which is the load it sheds",
    advice = "put the shedder outermost" },
}

local function check(pair, s)
  for i, outer in subject.each(s, pair.outer) do
    local inner = subject.find(s, pair.inner, i + 1)
    local together = inner and (pair.across or inner.owner == outer.owner)
    if together and (not pair.only or pair.only(outer, inner)) then
      s.warn(outer, ("%s stands outside %s: %s"):format(pair.outer, pair.inner, pair.why),
        pair.advice)
    end
  end
end

local M = {} ---@type weir.Rule[]

for i, pair in ipairs(pairs_of) do
  M[i] = { id = pair.id, why = pair.why, example = ("{ %s, %s }"):format(pair.outer, pair.inner),
    check = function(s) check(pair, s) end }
end

return M
