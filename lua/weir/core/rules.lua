--- What `weir check` warns of. A rule looks at one policy, with the routes that reach it, and says
--- what is wrong with the numbers at hand. Rules of mere order are in `rules_order.lua`.
local order = require "weir.core.rules_order"
local timing = require "weir.core.timing"

local text = timing.text

local M = {}

---@class weir.Subject      What a rule looks at.
---@field record weir.PolicyRecord
---@field steps weir.Step[]   Outermost first.
---@field worst number[]      Worst case from step i on.
---@field routes weir.RouteRecord[]  That reach it.
---@field warn fun(step: weir.Step?, message: string, advice: string)

-- Looking around.

local function each(subject, kind)
  local i, steps = 0, subject.steps
  return function()
    repeat i = i + 1 until not steps[i] or steps[i].kind == kind
    if steps[i] then return i, steps[i] end
  end
end

local function find(steps, kind, from, to, by)
  for i = from, to, by or 1 do
    if steps[i].kind == kind then return steps[i], i end
  end
end

local function inside(subject, kind, i)
  return find(subject.steps, kind, i + 1, #subject.steps)
end

-- The shortest deadline of the routes.
local function of_routes(subject)
  local least
  for _, route in ipairs(subject.routes) do
    if not least or route.deadline < least.deadline then least = route end
  end
  return least and least.deadline, least and ("that of route '%s'"):format(least.pattern)
end

-- The nearest deadline around step i: of the policy, else of its routes. nil without any.
local function bound(subject, i)
  local step = find(subject.steps, "deadline", i - 1, 1, -1)
  if step then return step.options.total, ("that of policy '%s'"):format(step.policy) end
  return of_routes(subject)
end

local function attempts(step) return step.options.max + 1 end

local admits = { breaker = true, bulkhead = true, limiter = true, shedder = true, throttle = true }
local refusals = { refused = true, limited = true, shed = true }
local calls_out = { retry = true, breaker = true, bulkhead = true, hedge = true }
local unsafe = { POST = true, PATCH = true }

local function methods_of(pattern)
  return pattern:match "^([%u,]+)%s" or "any method"
end

local function is_safe(pattern)
  local methods = methods_of(pattern)
  if methods == "any method" then return false end
  for method in methods:gmatch "%u+" do
    if unsafe[method] then return false end
  end
  return true
end

-- The attempts that retries and hedges make of one call, and the product in words.
local function amplification(subject)
  local product, parts = 1, {}
  for _, step in ipairs(subject.steps) do
    local factor = step.kind == "retry" and attempts(step)
      or step.kind == "hedge" and (step.options.max or 1) + 1 or 1
    if factor > 1 then
      product = product * factor
      parts[#parts + 1] = ("%d by %s of '%s'"):format(factor, step.kind, step.policy)
    end
  end
  return product, table.concat(parts, " x ")
end

-- What each attempt of a retry may take, its waits included, for all to fit into `limit`.
local function share(limit, step)
  local ns = math.max(0, limit - timing.pauses(step.options)) / attempts(step)
  return ns - ns % 1e6
end

-- The rules.

---@class weir.Rule
---@field id string        Stable: for logs, for suppressing, for docs.
---@field why string       For docs: the rationale.
---@field example string   For docs: layers that trip it.
---@field check fun(subject: weir.Subject)

---@type weir.Rule[]
M.list = {}

local function rule(id, why, example, check)
  M.list[#M.list + 1] = { id = id, why = why, example = example, check = check }
end

rule("no-deadline",
  "nothing of the policy bounds a call; in the background it may take for ever",
  "{ retry(2), timeout \"1s\" }",
  function(s)
    if find(s.steps, "deadline", 1, #s.steps) then return end
    local calls, retries = false, find(s.steps, "retry", 1, #s.steps)
    for _, step in ipairs(s.steps) do calls = calls or calls_out[step.kind] end
    if not calls or not (retries or s.worst[1] == math.huge) then return end
    local limit, whose = of_routes(s)
    s.warn(nil, limit and ("no deadline: only %s, %s, bounds a call"):format(whose, text(limit))
      or "no deadline: nothing bounds a call", "put a weir.deadline outermost")
  end)

rule("no-attempt-timeout",
  "without a limit for each attempt the first one may use up the whole deadline",
  "{ deadline \"2s\", retry(2) }",
  function(s)
    for i, step in each(s, "retry") do
      if attempts(step) > 1 and s.worst[i + 1] == math.huge then
        s.warn(step, ("retry allows %d attempts, and no timeout inside it bounds one")
          :format(attempts(step)), "put a weir.timeout innermost")
      end
    end
  end)

rule("attempts-exceed-deadline",
  "the last attempts are cut off or never made, so the retry is not what it says",
  "{ deadline \"1s\", retry(2), timeout \"500ms\" }",
  function(s)
    local told -- an inner retry under the same deadline is part of the outer one's sum
    for i, step in each(s, "retry") do
      local limit, whose = bound(s, i)
      local one, all = s.worst[i + 1], s.worst[i]
      if limit and all < math.huge and all > limit and attempts(step) > 1 and told ~= limit then
        told = limit
        s.warn(step, ("%d attempts of up to %s and pauses of up to %s may take %s, the deadline (%s) "
          .. "is %s"):format(attempts(step), text(one), text(timing.pauses(step.options)),
          text(all), whose, text(limit)), ("give an attempt at most %s, or the deadline at least %s")
          :format(text(share(limit, step)), text(all)))
      end
    end
  end)

rule("timeout-beyond-deadline",
  "the deadline always comes first, so the timeout says nothing",
  "{ deadline \"1s\", timeout \"1s\" }",
  function(s)
    for i, step in each(s, "timeout") do
      local limit, whose = bound(s, i)
      if limit and step.options.limit >= limit then
        s.warn(step, ("the timeout of %s never comes before the deadline of %s, %s")
          :format(text(step.options.limit), text(limit), whose),
          "shorten the timeout, or lengthen the deadline")
      end
    end
  end)

rule("deadline-beyond-route",
  "the route's deadline always comes first",
  "{ deadline \"30s\" } on a route with the default deadline of 10 s",
  function(s)
    local limit, whose = of_routes(s)
    local step = find(s.steps, "deadline", 1, #s.steps)
    if step and limit and step.options.total > limit then
      s.warn(step, ("the deadline of %s never comes before %s, %s")
        :format(text(step.options.total), whose, text(limit)),
        "give the route the longer `deadline`")
    end
  end)

rule("wait-beyond-deadline",
  "whoever waits so long is too late when its turn comes",
  "{ deadline \"1s\", bulkhead { wait = \"2s\" } }",
  function(s)
    for i, step in ipairs(s.steps) do
      local wait = timing.wait(step)
      local limit, whose = bound(s, i)
      if limit and wait > 0 and wait >= limit then
        s.warn(step, ("%s lets calls wait for %s, the deadline (%s) is %s")
          :format(step.kind, text(wait), whose, text(limit)), "shorten `wait`")
      end
    end
  end)

rule("retry-outside-breaker",
  "a refusal comes back at once and unchanged: asking again only uses up attempts and budget",
  "{ retry { on = { \"refused\" } }, breaker {} }",
  function(s)
    for i, step in each(s, "retry") do
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
    for _, step in each(s, "hedge") do
      for _, route in ipairs(s.routes) do
        if not is_safe(route.pattern) then
          s.warn(step, ("route '%s' takes %s, which may not be sent twice")
            :format(route.pattern, methods_of(route.pattern)),
            "hedge on routes of GET only, or split the policy")
          break
        end
      end
    end
  end)

rule("no-jitter",
  "callers that failed together come back together",
  "{ retry { jitter = \"none\" } }",
  function(s)
    for _, step in each(s, "retry") do
      local o = step.options
      if o.max > 0 and (o.jitter == "none" or (o.jitter == "ratio" and o.ratio == 0)) then
        s.warn(step, ("the pauses of retry (%s..%s) have no jitter"):format(text(o.base),
          text(o.cap)), "leave jitter = \"full\"")
      end
    end
    for _, step in each(s, "breaker") do
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
    for _, step in each(s, "retry") do
      if step.options.budget == false and step.options.max > 0 then
        s.warn(step, ("retry has no budget: an outage is asked %d times as much")
          :format(attempts(step)), "leave `budget` out")
      end
    end
  end)

rule("unbounded-keys",
  "whoever sends the header chooses the keys: enough of them push out those of others",
  "{ limiter { rate = \"10/s\", key = \"header:X-Tenant\" } }",
  function(s)
    for _, step in ipairs(s.steps) do
      local o = step.options
      local is_open = type(o.key) == "function"
        or (type(o.key) == "string" and o.key:sub(1, 7) == "header:")
      if is_open and o.max_keys == 65536 then
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
    local first, at = find(s.steps, "retry", 1, #s.steps)
    local second = first and inside(s, "retry", at)
    if not second or attempts(first) == 1 or attempts(second) == 1 then return end
    local product, how = amplification(s)
    s.warn(second, ("one call may become %d attempts: %s"):format(product, how),
      "retry at one level only, the one nearest to the upstream")
  end)

rule("chaos-not-innermost",
  "faults should come from where the upstream is, or the layers inside are not tried",
  "{ chaos {…}, timeout \"1s\" }",
  function(s)
    for i, step in each(s, "chaos") do
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
    for _, step in each(s, "breaker") do
      local o = step.options
      if o.window_calls and o.min_calls > o.window_calls then
        s.warn(step, ("min_calls is %d, but the window holds %d calls: it counts as %d")
          :format(o.min_calls, o.window_calls, o.window_calls), "set min_calls to at most window_calls")
      end
    end
  end)

rule("slow-call-beyond-timeout",
  "no call lives long enough to count as slow: it has timed out before",
  "{ breaker { slow_call = \"1s\", slow_rate = 0.5 }, timeout \"500ms\" }",
  function(s)
    for i, step in each(s, "breaker") do
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

-- Pairs in the wrong order.
for _, pair in ipairs(order) do
  local example = ("{ %s, %s }"):format(pair.outer, pair.inner)
  rule(pair.id, pair.why, example, function(s)
    for i, outer in each(s, pair.outer) do
      local inner = inside(s, pair.inner, i)
      local together = inner and (pair.across or inner.owner == outer.owner)
      if together and (not pair.only or pair.only(outer, inner)) then
        s.warn(outer, ("%s stands outside %s: %s"):format(pair.outer, pair.inner, pair.why),
          pair.advice)
      end
    end
  end)
end

return M
