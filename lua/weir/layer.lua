--- What a layer of a policy is: it validates its options where it is written, and becomes a
--- function around a call when the policy is declared.
---
--- A layer takes what it opens (a ticket, a deadline) through `core.enter` or `core.deadline_enter`
--- and closes it through `core.leave` with the call's results. When the call raises, its task's end
--- or the nearest `pcall` closes it instead, so layers have no cleanup code.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

--- The type of a `mode` option, for schemas of what may refuse.
M.mode = schema.enum { "normal", "shadow", default = "normal", doc = "shadow refuses nothing." }

--- A layer. `wrap(name, run, place, layers)` is called when a policy called `name` is declared at
--- `place` with the list `layers`, and returns a function like `run`: it takes the call and returns
--- `value, err`.
---@param kind string
---@param options table  As validated.
---@param wrap (fun(name: string, run: function, place: string, layers: weir.Layer[]): function)?
---@return weir.Layer
function M.new(kind, options, wrap)
  return { kind = kind, options = options, place = core.where(), wrap = wrap }
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

--- Around `run`: enter, call, leave.
---@param handle userdata  Of a primitive that admits calls.
---@param run function
---@param policy string    Whose layer it is: refusals say so.
---@param key_of (fun(): string?)?  Of a keyed one: whose call it is.
---@return function
function M.guarded(handle, run, policy, key_of)
  local enter, leave = core.enter, core.leave
  return function(fn)
    local depth, refusal = enter(handle, key_of and key_of(), nil, policy)
    if not depth then return nil, refusal end
    local value, err = run(fn)
    leave(depth, value, err)
    return value, err
  end
end

return M
