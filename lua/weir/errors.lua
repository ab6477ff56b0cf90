--- Error values: what calls return beside nil when the world fails.
local core = require "weir.core"
local M = {}

---@class weir.Error
---@field kind string        One word of the table in lua/README.md: "timeout", "connect", "refused" …
---@field message string     For people.
---@field sent string        How much of the request had left: "nothing", "head" or "body".
---@field retryable boolean  Another attempt cannot do harm.
---@field after number?      Seconds before asking again may help.
---@field upstream string?   Which upstream was asked.
---@field endpoint string?   Which of its endpoints.
---@field policy string?     Which named state refused.
---@field primitive string?  What kind it is: "breaker", "bulkhead".
---@field cause weir.Error?  What this error is about.

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
