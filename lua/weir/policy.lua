--- A policy: layers around a call, written from the outside in.
---
---     local guarded = weir.policy("recommendations", { weir.deadline "2s", weir.retry(2), … })
---     local response, err = guarded(function() return upstream:forward(req) end)
---
--- A policy may stand in the list of another one; its layers then run there, with its own state.
local composition = require "weir.core.composition"
local core = require "weir.core"
local layer = require "weir.layer"

local M = {}

local function innermost(fn)
  return fn()
end

local function check_name(name)
  if type(name) ~= "string" or #name == 0 or #name > 127 then
    error(("policy: the name is %s; it must be a string of 1 to 127 bytes")
      :format(type(name) == "string" and ("of %d bytes"):format(#name) or "a " .. type(name)), 3)
  end
end

local function is_layer(value)
  return type(value) == "table" and type(value.wrap) == "function"
end

local function check_layers(name, layers)
  if type(layers) ~= "table" or #layers == 0 then
    error(("policy '%s': give a list of layers, like { weir.deadline \"2s\", weir.retry(2) }")
      :format(name), 3)
  end
  for i = 1, #layers do
    local one = layers[i]
    if not composition.policy_of(one) and not is_layer(one) then
      error(("policy '%s': element %d is a %s; it must be a layer such as weir.breaker{…}, or "
        .. "a policy"):format(name, i, type(one)), 3)
    end
  end
end

-- `run` within the layers of a policy. Policies contain only what was declared before them. Steps
-- that stand side by side become one plan; a retry ends one, for what is inside of it is repeated.
local function wrapped(record, run)
  local steps = {}
  local function planned()
    if #steps > 0 then run = layer.planned(record.name, steps, run) end
    steps = {}
  end
  for i = #record.elements, 1, -1 do
    local element = record.elements[i]
    local inner = composition.policy_of(element)
    if inner then
      planned()
      run = wrapped(inner, run)
    elseif element.is_step then
      local step = element.wrap(record.name, nil, record.place, record.elements)
      if step.retry then planned() end
      table.insert(steps, 1, step)
    else
      planned()
      run = element.wrap(record.name, run, record.place, record.elements)
    end
  end
  planned()
  return run
end

---@overload async fun(fn: async fun(): any, weir.Error?): any, weir.Error?

--- Declares a policy. Its named state (breaker, bulkhead, retry budget) bears the policy's name, is
--- shared by all workers, and outlives reloads. The result is called with a function that makes one
--- attempt.
---@param name string
---@param layers (weir.Layer|weir.Policy)[]
---@return weir.Policy
function M.new(name, layers)
  if not core.is_loading() then
    error("policy: it declares, and declarations belong to the top level of a script", 2)
  end
  check_name(name)
  check_layers(name, layers)
  local elements = {}
  for i = 1, #layers do elements[i] = layers[i] end
  local record = { name = name, place = core.where(), elements = elements }
  local run = wrapped(record, innermost)
  local policy = setmetatable({ name = name, layers = layers }, {
    __call = function(_, fn) return run(fn) end,
    __tostring = function() return "policy: " .. name end,
  })
  composition.add_policy(policy, record)
  return policy
end

return M
