--- Named upstreams: groups of endpoints to forward to.
local composition = require "weir.core.composition"
local core = require "weir.core"
local schema = require "weir.schema"

local M = {}

local pool_options = schema.new("pool", {
  max = schema.integer { min = 1, max = 1000000,
    doc = "Attempts at once to one endpoint from one worker; beyond, calls are refused." },
  idle = schema.duration { min = "1s", max = "1h",
    doc = "A connection idle for longer is not used." },
})

local health_options = schema.new("upstream health", {
  path = schema.string { min = 1, max = 1024, default = "/", doc = "What is asked for with GET." },
  interval = schema.duration { min = "100ms", max = "1h", default = "5s",
    doc = "Between two checks." },
  timeout = schema.duration { min = "10ms", max = "1m", default = "1s",
    doc = "Limit of one check." },
  fall = schema.integer { min = 1, max = 100, default = 3,
    doc = "Failures in a row until it is out." },
  rise = schema.integer { min = 1, max = 100, default = 2,
    doc = "Successes in a row until it is back." },
})

local upstream_options = schema.new("upstream", {
  endpoints = schema.list(schema.string { min = 1, max = 2048 }, { required = true, min = 1,
    max = 64,
    doc = "URLs; a path in one is put before the request's." }),
  balance = schema.enum { "least_request", "round_robin", "random", default = "least_request",
    doc = "least_request is the power of two choices." },
  pool = schema.table { doc = "Bounds of the connections: { max, idle }." },
  health = schema.table {
    doc = "Active checks of each endpoint: { path, interval, timeout, fall, rise }." },
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

--- Sends the client's request on and streams both ways. Returns at the response head; the body
--- flows behind it when the handler returns the response. A request body of known size up to 64 KiB
--- is read first and kept, so that the request can be sent again; a larger one streams and can be
--- sent once.
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
---@param options string|table   A path, or method, path, headers, body, timeout, max_body.
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

-- Checks one endpoint for ever, as a job of the generation; its verdict belongs to the endpoint and
-- lives through reloads. The first checks are spread over the interval, later ones vary by a fifth,
-- so that many workers do not ask in step.
local function watch(name, handle, index, url, o)
  local good, bad = 0, 0
  local function check()
    local res, err = core.http_request { url = url:gsub("/$", "") .. o.path, timeout = o.timeout,
      method = "GET", max_body = 65536, trusted = true }
    local ok = res ~= nil and res.status >= 200 and res.status < 400
    good, bad = ok and good + 1 or 0, ok and 0 or bad + 1
    if good < o.rise and bad < o.fall then return end
    if core.upstream_mark(handle, index, ok) then
      core.log(ok and "info" or "warn", ok and "endpoint is healthy" or "endpoint is unhealthy",
        { upstream = name, endpoint = url, cause = err and err.kind or res and res.status })
    end
  end
  core.job("health " .. name, core.where(), 0, function()
    core.sleep(o.interval * core.random())
    while true do
      check()
      core.sleep(o.interval * (0.8 + 0.4 * core.random()))
    end
  end)
end

--- Declares an upstream. Connections, in-flight counts and the memory of failed connects belong to
--- its endpoints' addresses and live through reloads.
---@param name string
---@param options table
---@return weir.Upstream
function M.declare(name, options)
  if not core.is_loading() then
    error("upstream: it declares, and declarations belong to the top level of a script", 2)
  end
  if type(name) ~= "string" or #name == 0 or #name > 63 then
    error("upstream: the name must be a string of 1 to 63 bytes", 2)
  end
  local o = upstream_options:check(options)
  local pool = o.pool and pool_options:check(o.pool) or {}
  local health = o.health and health_options:check(o.health)
  o.pool_max, o.pool_idle = pool.max, pool.idle
  local handle, message = core.upstream(name, o)
  if not handle then error(("upstream '%s': %s"):format(name, message), 2) end
  composition.add_upstream(handle, name)
  for index, url in ipairs(health and o.endpoints or {}) do
    watch(name, handle, index, url, health)
  end
  return handle
end

return M
