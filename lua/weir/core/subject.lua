--- One policy under judgement: its layers, how long they may take, and who calls it.
local timing = require "weir.core.timing"

---@class weir.Subject      What a rule looks at.
---@field record weir.PolicyRecord
---@field steps weir.Step[]   Outermost first.
---@field worst number[]      Worst case from step i on.
---@field routes weir.RouteRecord[]  That reach it.
---@field warn fun(step: weir.Step?, message: string, advice: string)

---@class weir.Rule
---@field id string        Stable: for logs and for docs.
---@field why string       For docs: the rationale.
---@field example string   For docs: layers that trip it.
---@field check fun(subject: weir.Subject)

local M = {}

--- The layers of a kind, with their positions.
function M.each(subject, kind)
  local i, steps = 0, subject.steps
  return function()
    repeat i = i + 1 until not steps[i] or steps[i].kind == kind
    if steps[i] then return i, steps[i] end
  end
end

--- The outermost layer of a kind from position `from` (1) inwards, and its position; nil without.
---@return weir.Step?
---@return integer?
function M.find(subject, kind, from)
  for i = from or 1, #subject.steps do
    if subject.steps[i].kind == kind then return subject.steps[i], i end
  end
end

-- The nearest deadline around the layer at `i`.
local function deadline_around(subject, i)
  for j = i - 1, 1, -1 do
    if subject.steps[j].kind == "deadline" then return subject.steps[j] end
  end
end

--- The shortest deadline of the routes, and whose it is; nil when no route is known.
function M.of_routes(subject)
  local least
  for _, route in ipairs(subject.routes) do
    if not least or route.deadline < least.deadline then least = route end
  end
  return least and least.deadline, least and ("that of route '%s'"):format(least.pattern)
end

--- The nearest deadline around the layer at `i`: of the policy, else of its routes; nil if none.
function M.bound(subject, i)
  local step = deadline_around(subject, i)
  if step then return step.options.total, ("that of policy '%s'"):format(step.policy) end
  return M.of_routes(subject)
end

--- How often a retry calls at most.
function M.attempts(step)
  return step.options.max + 1
end

--- What each attempt of a retry may take, its waits included, for all to fit into `limit`.
function M.share(limit, step)
  local ns = math.max(0, limit - timing.pauses(step.options)) / M.attempts(step)
  return ns - ns % 1e6
end

return M
