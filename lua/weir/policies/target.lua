--- What a shipped policy (`require "weir.policies.…"`) protects: an upstream that requests are
--- forwarded to, or a function.
local schema = require "weir.schema"

local M = {}

--- A table of options with those that every shipped policy takes: `name`, `upstream`, `call`.
---@param name string                            Of the policy's module.
---@param fields table<string, weir.schema.Type>
---@return weir.Schema
function M.schema(name, fields)
  fields.name = schema.string { min = 1, max = 100, required = true,
    doc = "Of the policy: its state is kept by this name." }
  fields.upstream = schema.any { doc = "Where requests are forwarded to." }
  fields.call = schema.func { doc = "Instead of `upstream`: a function(req) that calls." }
  return schema.new("policy " .. name, fields)
end

--- The function(req) that the options name.
---@param module string
---@param o table
---@return async fun(req: weir.Request): any, weir.Error?
function M.of(module, o)
  if (o.call == nil) == (o.upstream == nil) then
    error(("policy %s '%s': give either `upstream` or `call`"):format(module, o.name), 3)
  end
  if o.call then return o.call end
  local upstream = o.upstream
  if type(upstream) ~= "userdata" then
    error(("policy %s '%s': upstream is a %s; it must be what weir.upstream returned")
      :format(module, o.name, type(upstream)), 3)
  end
  return function(req) return upstream:forward(req) end
end

return M
