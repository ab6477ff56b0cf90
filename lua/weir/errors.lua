--- Error values: what calls return beside nil when the world fails.
local core = require "weir.core"
local M = {}

--- An error value of a policy's own, to be returned as `nil, err`. An unknown kind raises.
---@param kind string     One of weir's kinds.
---@param message string
---@param fields table?   `after`, `cause`, `retryable`.
---@return weir.Error
function M.new(kind, message, fields)
  local err = core.error(kind, message)
  if not err then error(("weir.error: '%s' is not a kind of error"):format(tostring(kind)), 2) end
  for key, value in pairs(fields or {}) do err[key] = value end
  return err
end

return M
