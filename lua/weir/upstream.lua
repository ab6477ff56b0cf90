--- Named upstreams: groups of endpoints to forward to.
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local upstream_options = schema.new("upstream", {
  endpoints = schema.list(schema.string { min = 1, max = 2048 }, { required = true, min = 1, max = 64,
    doc = "URLs; a path in one is put before the request's." }),
  balance = schema.enum { "least_request", "round_robin", "random", default = "least_request",
    doc = "least_request is the power of two choices." },
  host = schema.enum { "endpoint", "client", default = "endpoint",
    doc = "Whose name the Host field bears." },
  connect = schema.duration { min = "1ms", max = "10m", default = "2s",
    doc = "Limit for resolving, connecting and TLS." },
  first_byte = schema.duration { min = "1ms", max = "1h",
    doc = "Limit from the request's end to the response head." },
  between_bytes = schema.duration { min = "1ms", max = "1h", default = "30s",
    doc = "Limit between two pieces of response body." },
})

local forward_options = schema.new("forward", {
  path = schema.string { min = 1, max = 8192, doc = "Path and query instead of the client's." },
  timeout = schema.duration { min = "1ms", max = "1h", doc = "Limit up to the response head." },
})

local request_options = schema.new("upstream request", {
  method = schema.string { min = 1, max = 32, default = "GET" },
  path = schema.string { min = 1, max = 8192, default = "/", doc = "Path and query." },
  headers = schema.table(),
  body = schema.string(),
  timeout = schema.duration { min = "1ms", max = "1h", doc = "Limit of the whole call." },
  max_body = schema.size { default = "8MiB", max = "64MiB", doc = "Largest response body." },
}, { positional = "path" })

---@class weir.Upstream
local Upstream = core.upstream_methods

local no_options = {}

--- Sends the client's request on and streams both ways. Returns at the response head; the body flows
--- behind it when the handler returns the response. A request body of known size up to 64 KiB is read
--- first and kept, so that the request can be sent again; a larger one streams and can be sent once.
---@async
---@param req weir.Request
---@param options table?   `path`, `timeout`.
---@return weir.Response?
---@return weir.Error?
function Upstream:forward(req, options)
  local o = options and forward_options:check(options) or no_options
  if core.request_replayable(req) then
    local body, err = req:text()
    if not body then return nil, err end
  end
  return core.upstream_forward(self, req, o)
end

--- A call of the policy's own; returns when the whole body is there, in `response.body`.
---@async
---@param options string|table   A path, or `method`, `path`, `headers`, `body`, `timeout`, `max_body`.
---@return weir.Response?
---@return weir.Error?
function Upstream:request(options)
  local o = request_options:check(options)
  return core.upstream_request(self, o)
end

--- `upstream:request` with GET.
---@async
---@param path string
---@return weir.Response?
---@return weir.Error?
function Upstream:get(path)
  local o = request_options:check(path)
  return core.upstream_request(self, o)
end

--- Declares an upstream. Connections, in-flight counts and the memory of failed connects belong to its
--- endpoints' addresses and live through reloads.
---@param name string
---@param options table
---@return weir.Upstream
function M.declare(name, options)
  if type(name) ~= "string" or #name == 0 or #name > 63 then
    error("upstream: the name must be a string of 1 to 63 bytes", 2)
  end
  local handle, message = core.upstream(name, upstream_options:check(options))
  if not handle then error(("upstream '%s': %s"):format(name, message), 2) end
  return handle
end

return M
