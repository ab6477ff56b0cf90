--- Keys of keyed primitives: whose call is it?
---
--- `"client"` is the client's address, `"route"` the route's pattern, `"header:X-Tenant"` a request
--- header; a function is called with the request. All work on the request that the running task
--- belongs to, children of it included.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

--- The type of a `key` option, for schemas.
M.option = schema.either { schema.string { min = 1, max = 200 }, schema.func(),
  doc = "Whose call it is: \"client\", \"route\", \"header:NAME\" or a function(req)." }

--- Blames the caller's caller for a bound of keys where there are none.
---@param o table      As validated.
---@param given any    As written.
---@param what string
function M.check(o, given, what)
  if type(given) == "table" and given.max_keys and not o.key then
    error(("%s: max_keys is %s, but there is no key: give key too, or leave max_keys out")
      :format(what, given.max_keys), 3)
  end
end

local fields = { client = "client", route = "route" }

local function reader(option, place)
  if type(option) == "function" then return option end
  local header = option:match "^header:([%w!#$&'*+.^_`|~%-]+)$"
  if header then
    return function(req) return req.headers[header] end
  end
  local field = fields[option]
  if field then return function(req) return req[field] end end
  error(('%s: key is "%s"; it must be "client", "route", "header:NAME" or a function')
    :format(place, option), 0)
end

--- A function that tells the key of the current call: a string, or nil when it has none (no
--- request, no such header).
---@param option string|function
---@param place string  Where it was written, for messages.
---@return fun(): string?
function M.resolver(option, place)
  local read = reader(option, place)
  return function()
    local req = core.current_request()
    if not req then return nil end
    local key = read(req)
    if key == nil or type(key) == "string" then return key end
    return tostring(key)
  end
end

return M
