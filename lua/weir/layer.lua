--- What a layer of a policy is: it validates its options where it is written, and becomes a step or
--- a function around a call when the policy is declared.
---
--- A step is what C opens before a call and closes after it (a ticket, a frame of time):
--- neighbouring ones are entered and left together. What needs Lua around the call is a function.
--- Both close what they opened with the call's results; when the call raises, its task's end or the
--- nearest `pcall` closes it instead, so layers have no cleanup code.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

--- The type of a `mode` option, for schemas of what may refuse.
M.mode = schema.enum { "normal", "shadow", default = "normal", doc = "shadow refuses nothing." }

--- A layer. When a policy called `name` is declared at `place` with the list `layers`, it calls
--- `wrap(name, run, place, layers)`, which returns a function like `run`: it takes the call and
--- returns `value, err`. With `is_step` it returns a step instead, and `run` is nil: `{ handle }`
--- of a primitive that admits calls, `{ limit, is_timeout }` or `{ retry }`.
---@param kind string
---@param options table  As validated.
---@param wrap (fun(name: string, run: function?, place: string, layers: weir.Layer[]): any)?
---@param is_step boolean?
---@return weir.Layer
function M.new(kind, options, wrap, is_step)
  return { kind = kind, options = options, place = core.where(), wrap = wrap,
    is_step = is_step or false }
end

--- The handle of a declaration, or raises with what C refused, blaming the line that wrote it.
---@param kind string
---@param place string
---@param handle any
---@param message string?
function M.declared(kind, place, handle, message)
  if handle then return handle end
  error(("%s: %s: %s"):format(place, kind, message), 0)
end

--- Around `run`: enter, call, leave; for what is entered with a key.
---@param handle userdata  Of a primitive that admits calls.
---@param run function
---@param policy string    Whose layer it is: refusals say so.
---@param key_of fun(): string?  Whose call it is.
---@return function
function M.guarded(handle, run, policy, key_of)
  local enter, leave = core.enter, core.leave
  return function(fn)
    local depth, refusal = enter(handle, key_of(), nil, policy)
    if not depth then return nil, refusal end
    local value, err = run(fn)
    leave(depth, value, err)
    return value, err
  end
end

-- Further attempts, each of them a `run`, until one is not to be repeated; the first is to be,
-- after `delay`.
local function repeated(retry, run, fn, delay, backoff)
  local attempt, value, err = 1, nil, nil
  while delay do
    if delay > 0 then
      local ok, expired = core.sleep(delay)
      if not ok then return nil, expired end
    end
    attempt = attempt + 1
    value, err = run(fn)
    delay, backoff = core.retry_decide(retry, attempt, backoff, value, err)
  end
  return value, err
end

--- Around `run`: neighbouring steps, from the outside in. A retry may be the last of them.
---@param policy string
---@param steps table[]
---@param run function
---@return function
function M.planned(policy, steps, run)
  local plan = core.plan(policy, steps)
  local enter, leave, quit = core.plan_enter, core.plan_leave, core.plan_quit
  local retry, decide = steps[#steps].retry, core.retry_decide
  return function(fn)
    local base, top = enter(plan)
    if not base then
      quit(nil, top)
      return nil, top
    end
    local value, err = run(fn)
    if retry then
      local delay, backoff = decide(retry, 1, nil, value, err)
      if delay then value, err = repeated(retry, run, fn, delay, backoff) end
    end
    leave(base, top, value, err)
    return value, err
  end
end

return M
