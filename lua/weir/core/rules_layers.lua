--- Rules of single layers and of what they are combined with, wherever they stand.
local subject = require "weir.core.subject"
local timing = require "weir.core.timing"

local text = timing.text

local M = {} ---@type weir.Rule[]

local function rule(id, why, example, check)
  M[#M + 1] = { id = id, why = why, example = example, check = check }
end

local admits = { breaker = true, bulkhead = true, limiter = true, shedder = true, throttle = true }
local refusals = { refused = true, limited = true, shed = true }
local unsafe = { POST = true, PATCH = true }

-- The methods of a route that may not be sent twice, for messages; nil when there are none.
local function unsafe_methods(pattern)
  local methods = pattern:match "^([%u,]+)%s"
  if not methods then return "any method" end
  local found = {}
  for method in methods:gmatch "%u+" do
    if unsafe[method] then found[#found + 1] = method end
  end
  return found[1] and table.concat(found, " and ")
end

-- The attempts that retries and hedges make of one call, and the product in words.
local function amplification(s)
  local product, parts = 1, {}
  for _, step in ipairs(s.steps) do
    local factor = step.kind == "retry" and subject.attempts(step)
      or step.kind == "hedge" and (step.options.max or 1) + 1 or 1
    if factor > 1 then
      product = product * factor
      parts[#parts + 1] = ("%d by %s of '%s'"):format(factor, step.kind, step.policy)
    end
  end
  return product, table.concat(parts, " x ")
end

rule("retry-outside-breaker",
  "a refusal comes back at once and unchanged: asking again only uses up attempts and budget",
  "{ retry { on = { \"refused\" } }, breaker {} }",
  function(s)
    for i, step in subject.each(s, "retry") do
      local asked
      for j = i + 1, #s.steps do asked = asked or (admits[s.steps[j].kind] and s.steps[j].kind) end
      for _, on in ipairs(step.options.on or {}) do
        if asked and refusals[on] then
          s.warn(step, ("retry repeats what the %s inside it refuses (on has '%s'), up to %d times")
            :format(asked, on, step.options.max), ("leave '%s' out of `on`"):format(on))
        end
      end
    end
  end)

rule("hedge-not-idempotent",
  "a hedge sends the same request twice; it is not sent for POST and PATCH without an "
    .. "Idempotency-Key, so such a route waits for nothing",
  "{ hedge { delay = \"50ms\" } } reached by POST /orders",
  function(s)
    for _, step in subject.each(s, "hedge") do
      for _, route in ipairs(s.routes) do
        local methods = unsafe_methods(route.pattern)
        if methods then
          s.warn(step, ("route '%s' takes %s, which may not be sent twice")
            :format(route.pattern, methods), "hedge on routes of GET only, or split the policy")
          break
        end
      end
    end
  end)

rule("no-jitter",
  "callers that failed together come back together",
  "{ retry { jitter = \"none\" } }",
  function(s)
    for _, step in subject.each(s, "retry") do
      local o = step.options
      if o.max > 0 and (o.jitter == "none" or (o.jitter == "ratio" and o.ratio == 0)) then
        s.warn(step, ("the pauses of retry (%s..%s) have no jitter"):format(text(o.base),
          text(o.cap)), "leave jitter = \"full\"")
      end
    end
    for _, step in subject.each(s, "breaker") do
      if step.options.jitter == 0 then
        s.warn(step, ("the open time of the breaker (%s) has no jitter"):format(
          text(step.options.open)), "leave `jitter` out")
      end
    end
  end)

rule("no-retry-budget",
  "without a budget an outage is multiplied by the number of attempts",
  "{ retry { max = 2, budget = false } }",
  function(s)
    for _, step in subject.each(s, "retry") do
      if step.options.budget == false and step.options.max > 0 then
        s.warn(step, ("retry has no budget: an outage is asked %d times as much")
          :format(subject.attempts(step)), "leave `budget` out")
      end
    end
  end)

local default_keys = { limiter = 65536, bulkhead = 4096 }

rule("unbounded-keys",
  "whoever sends the header chooses the keys, and invented ones take the room of real ones",
  "{ limiter { rate = \"10/s\", key = \"header:X-Tenant\" } }",
  function(s)
    for _, step in ipairs(s.steps) do
      local o = step.options
      local is_open = type(o.key) == "function"
        or (type(o.key) == "string" and o.key:sub(1, 7) == "header:")
      if is_open and o.max_keys == default_keys[step.kind] then
        s.warn(step, ("%s is keyed by %s, and max_keys is at its default of %d"):format(step.kind,
          type(o.key) == "string" and o.key or "a function", o.max_keys),
          "say with max_keys how many you expect")
      end
    end
  end)

rule("nested-retries",
  "retries inside retries multiply: an outage is met by the product of their attempts",
  "policy(\"outer\", { retry(2), policy(\"inner\", { retry(2) }) })",
  function(s)
    local first, at = subject.find(s, "retry")
    local second = first and subject.find(s, "retry", at + 1)
    if not second or subject.attempts(first) == 1 or subject.attempts(second) == 1 then return end
    local product, how = amplification(s)
    s.warn(second, ("one call may become %d attempts: %s"):format(product, how),
      "retry at one level only, the one nearest to the upstream")
  end)

rule("chaos-not-innermost",
  "faults should come from where the upstream is, or the layers inside are not tried",
  "{ chaos {…}, timeout \"1s\" }",
  function(s)
    for i, step in subject.each(s, "chaos") do
      local inner = s.steps[i + 1]
      if inner and inner.kind ~= "chaos" then
        s.warn(step, ("%s stands inside chaos and never sees its faults"):format(inner.kind),
          "put chaos innermost")
      end
    end
  end)

rule("breaker-min-calls",
  "a window of calls cannot hold min_calls; it is cut to the window",
  "{ breaker { window_calls = 10, min_calls = 20 } }",
  function(s)
    for _, step in subject.each(s, "breaker") do
      local o = step.options
      if o.window_calls and o.min_calls > o.window_calls then
        s.warn(step, ("min_calls is %d, but the window holds %d calls: it counts as %d")
          :format(o.min_calls, o.window_calls, o.window_calls),
          "set min_calls to at most window_calls")
      end
    end
  end)

rule("slow-call-beyond-timeout",
  "no call lives long enough to count as slow: it has timed out before",
  "{ breaker { slow_call = \"1s\", slow_rate = 0.5 }, timeout \"500ms\" }",
  function(s)
    for i, step in subject.each(s, "breaker") do
      local o, limit = step.options, s.worst[i + 1]
      if o.slow_rate > 0 and o.slow_call >= limit then
        s.warn(step, ("calls count as slow after %s, but end after %s"):format(text(o.slow_call),
          text(limit)), "set slow_call below the timeout")
      end
    end
  end)

rule("duplicate-layer",
  "the same state is asked twice for one call, or the longer of two limits never acts",
  "{ deadline \"2s\", deadline \"1s\" }",
  function(s)
    local seen = {}
    for _, step in ipairs(s.steps) do
      local key = step.kind .. "\0" .. step.name
      -- A retry inside a retry has a rule of its own.
      if seen[key] and (step.kind ~= "retry" or seen[key] == step.owner) then
        s.warn(step, ("%s '%s' stands twice in the way of one call"):format(step.kind, step.name),
          "keep one, or give the other a name of its own")
      end
      seen[key] = step.owner
    end
  end)

return M
