--- Log lines of a policy: JSON, with request id, route and generation added.
local core = require "weir.core"

local M = {}

local function writer(level)
  return function(message, fields)
    if fields ~= nil and type(fields) ~= "table" then
      error("log: fields must be a table of names and values", 2)
    end
    core.log(level, tostring(message), fields)
  end
end

--- One line at a level. `fields` are names with texts, numbers or booleans.
---@type fun(message: string, fields: table<string, string|number|boolean>?)
M.debug = writer "debug"
---@type fun(message: string, fields: table<string, string|number|boolean>?)
M.info = writer "info"
---@type fun(message: string, fields: table<string, string|number|boolean>?)
M.warn = writer "warn"
---@type fun(message: string, fields: table<string, string|number|boolean>?)
M.error = writer "error"

return M
