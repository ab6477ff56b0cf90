--- Rules of time: deadlines, timeouts, waits, and whether they fit into each other.
local subject = require "weir.core.subject"
local timing = require "weir.core.timing"

local text = timing.text

local M = {} ---@type weir.Rule[]

local function rule(id, why, example, check)
  M[#M + 1] = { id = id, why = why, example = example, check = check }
end

-- With one of these a policy is about calls that may hang.
local calls_out = { retry = true, breaker = true, bulkhead = true, hedge = true }

rule("no-deadline",
  "nothing of the policy bounds a call; in the background it may take for ever",
  "{ retry(2), timeout \"1s\" }",
  function(s)
    if subject.find(s, "deadline") then return end
    local calls, retries = false, subject.find(s, "retry")
    for _, step in ipairs(s.steps) do calls = calls or calls_out[step.kind] end
    if not calls or not (retries or s.worst[1] == math.huge) then return end
    local limit, whose = subject.of_routes(s)
    s.warn(nil, limit and ("no deadline: only %s, %s, bounds a call"):format(whose, text(limit))
      or "no deadline: nothing bounds a call", "put a weir.deadline outermost")
  end)

rule("no-attempt-timeout",
  "without a limit for each attempt the first one may use up the whole deadline",
  "{ deadline \"2s\", retry(2) }",
  function(s)
    for i, step in subject.each(s, "retry") do
      if subject.attempts(step) > 1 and s.worst[i + 1] == math.huge then
        s.warn(step, ("retry allows %d attempts, and no timeout inside it bounds one")
          :format(subject.attempts(step)), "put a weir.timeout innermost")
      end
    end
  end)

rule("attempts-exceed-deadline",
  "the last attempts are cut off or never made, so the retry is not what it says",
  "{ deadline \"1s\", retry(2), timeout \"500ms\" }",
  function(s)
    local told -- an inner retry under the same deadline is part of the outer one's sum
    for i, step in subject.each(s, "retry") do
      local limit, whose = subject.bound(s, i)
      local one, all = s.worst[i + 1], s.worst[i]
      local times = subject.attempts(step)
      if limit and all < math.huge and all > limit and times > 1 and told ~= limit then
        told = limit
        s.warn(step, ("%d attempts of up to %s and pauses of up to %s may take %s, the deadline, "
          .. "%s, is %s"):format(times, text(one), text(timing.pauses(step.options)), text(all),
          whose, text(limit)), ("give an attempt at most %s, or the deadline at least %s")
          :format(text(subject.share(limit, step)), text(all)))
      end
    end
  end)

rule("timeout-beyond-deadline",
  "the deadline always comes first, so the timeout says nothing",
  "{ deadline \"1s\", timeout \"1s\" }",
  function(s)
    for i, step in subject.each(s, "timeout") do
      local limit, whose = subject.bound(s, i)
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
    local limit, whose = subject.of_routes(s)
    local step = subject.find(s, "deadline")
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
      local limit, whose = subject.bound(s, i)
      if limit and wait > 0 and wait >= limit then
        s.warn(step, ("%s lets calls wait for %s, the deadline (%s) is %s")
          :format(step.kind, text(wait), whose, text(limit)), "shorten `wait`")
      end
    end
  end)

return M
