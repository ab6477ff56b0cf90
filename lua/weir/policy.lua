--- A policy: layers around a call, written from the outside in.
---
---     local guarded = weir.policy("recommendations", { weir.deadline "2s", weir.retry(2), … })
---     local response, err = guarded(function() return upstream:forward(req) end)
local core = require "weir.core"

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

local function check_layers(name, layers)
  if type(layers) ~= "table" or #layers == 0 then
    error(("policy '%s': give a list of layers, like { weir.deadline \"2s\", weir.retry(2) }")
      :format(name), 3)
  end
  for i = 1, #layers do
    local one = layers[i]
    if type(one) ~= "table" or type(one.wrap) ~= "function" then
      error(("policy '%s': element %d is a %s; it must be a layer such as weir.breaker{…}")
        :format(name, i, type(one)), 3)
    end
  end
end

---@overload async fun(fn: async fun(): any, weir.Error?): any, weir.Error?

--- Declares a policy. Its named state (breaker, bulkhead, retry budget) bears the policy's name, is
--- shared by all workers, and outlives reloads. The result is called with a function that makes one
--- attempt.
---@param name string
---@param layers weir.Layer[]
---@return weir.Policy
function M.new(name, layers)
  if not core.is_loading() then
    error("policy: it declares, and declarations belong to the top level of a script", 2)
  end
  check_name(name)
  check_layers(name, layers)
  local place = core.where()
  local run = innermost
  for i = #layers, 1, -1 do run = layers[i].wrap(name, run, place, layers) end
  return setmetatable({ name = name, layers = layers }, {
    __call = function(_, fn) return run(fn) end,
    __tostring = function() return "policy: " .. name end,
  })
end

return M
