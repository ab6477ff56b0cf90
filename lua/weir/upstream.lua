--- Named upstreams: groups of endpoints to forward to.
local composition = require "weir.core.composition"
local core = require "weir.core"
local endpoints = require "weir.endpoints"
local schema = require "weir.schema"

local M = {}

local pool_options = schema.new("pool", {
  max = schema.integer { min = 1, max = 1000000,
    doc = "Attempts at once to one endpoint from one worker; beyond, calls are refused." },
  idle = schema.duration { min = "1s", max = "1h",
    doc = "A connection idle for longer is not used." },
  reuse = schema.enum { "recent", "idempotent", default = "recent",
    doc = "What a request that may be sent once only rides: also a connection that answered within "
      .. "the last second, or none but its own." },
})

local hash_options = schema.new("upstream hash", {
  header = schema.string { min = 1, max = 128, doc = "The value of this field." },
  cookie = schema.string { min = 1, max = 128, doc = "The value of this cookie." },
  param = schema.string { min = 1, max = 128, doc = "A parameter of the route's path." },
})

local tls_options = schema.new("upstream tls", {
  ca = schema.string { min = 1, max = 4096,
    doc = "PEM file: who must have signed the endpoints' certificates. Default: the system's." },
  cert = schema.string { min = 1, max = 4096,
    doc = "PEM file: the certificate that weir shows, then its chain." },
  key = schema.string { min = 1, max = 4096, doc = "PEM file: its private key, not encrypted." },
  server_name = schema.string { min = 1, max = 253, pattern = "^[%w.-]+$", what = "a host's name",
    doc = "The name asked for (SNI) and verified. Default: the Host field's." },
  verify = schema.boolean { default = true,
    doc = "false takes any certificate, so anybody in between can read along." },
})

local upstream_options = schema.new("upstream", {
  tls = schema.table { doc = "TLS to https endpoints: { ca, cert, key, server_name, verify }." },
  endpoints = schema.list(endpoints.one, { min = 1, max = 4096,
    doc = "URLs, or tables of url, weight and zone." }),
  dns = schema.string { min = 1, max = 300,
    doc = "A URL whose name's addresses (A and AAAA) are the endpoints." },
  srv = schema.string { min = 1, max = 300,
    doc = "A URL whose name's SRV records are the endpoints." },
  file = schema.string { min = 1, max = 4096, doc = "A file that lists the endpoints; watched." },
  max_endpoints = schema.integer { min = 1, max = 4096,
    doc = "Room for endpoints that are found or set; else 64, or as many as are listed." },
  balance = schema.enum { "least_request", "peak_ewma", "round_robin", "ring_hash", "maglev",
    "random", default = "least_request", doc = "How one is chosen, see below." },
  hash = schema.either { schema.enum { "client" }, schema.func(), hash_options,
    doc = "The key of ring_hash and maglev: \"client\" (its address), { header | cookie | param "
      .. "= name }, or function(req)." },
  hash_bound = schema.number { min = 1.01, max = 100,
    doc = "ring_hash and maglev: no endpoint gets more than so many times its share of the calls "
      .. "under way; beyond, the next one does." },
  zone = schema.string { min = 1, max = 63,
    doc = "Where this weir stands: endpoints of this zone are preferred." },
  slow_start = schema.duration { min = "100ms", max = "1h",
    doc = "An endpoint that is new, or back, gets its full share after so long." },
  panic = schema.ratio { default = 0.5,
    doc = "When a smaller share of the endpoints than this is usable, all are used; 0: never." },
  pool = schema.table { doc = "The connections: { max, idle, reuse }." },
  outlier = schema.either { schema.table(), schema.boolean(),
    doc = "Ejection of endpoints that do worse than the others; false: none." },
  health = schema.table {
    doc = "Active checks of each endpoint: { path, interval, timeout, fall, rise }." },
  host = schema.enum { "endpoint", "client", default = "endpoint",
    doc = "Whose name the Host field bears." },
  http2 = schema.boolean {
    doc = "true: endpoints speak HTTP/2, as gRPC servers do: http ones from the first byte (h2c by "
      .. "prior knowledge), https ones have to choose it (ALPN); false: https ones do not either. "
      .. "Default: https ones that choose it." },
  proxy_protocol = schema.enum { "v1", "v2",
    doc = "Connections begin with a PROXY header of this version that names the client; each "
      .. "serves one client alone." },
  connect = schema.duration { min = "1ms", max = "10m", default = "2s",
    doc = "Limit for resolving, connecting and TLS." },
  first_byte = schema.duration { min = "1ms", max = "1h",
    doc = "Limit from the request's end to the response head." },
  between_bytes = schema.duration { min = "1ms", max = "1h", default = "30s",
    doc = "Limit between two pieces of response body." },
  upgrade = schema.either { schema.boolean(), schema.list(schema.string { min = 1, max = 31,
    pattern = "^[%w!#$&'*+.^_`|~-]+$", what = "a protocol's name" }, { min = 1, max = 8 }),
    doc = "Protocols in which `forward` lets clients go on: true is { \"websocket\" }." },
  tunnel_idle = schema.duration { min = "100ms", max = "1d", default = "5m",
    doc = "Limit of a tunnel through which nothing comes, either way." },
  tunnel_total = schema.duration { min = "100ms", max = "30d", default = "1d",
    doc = "Limit of a tunnel." },
})

local forward_options = schema.new("forward", {
  path = schema.string { min = 1, max = 8192, doc = "Path and query instead of the client's." },
  timeout = schema.duration { min = "1ms", max = "1h", doc = "Limit up to the response head." },
  key = schema.string { min = 1, max = 4096,
    doc = "Decides the endpoint, for ring_hash and maglev." },
})

local request_options = schema.new("upstream request", {
  method = schema.string { min = 1, max = 32, default = "GET" },
  path = schema.string { min = 1, max = 8192, default = "/", doc = "Path and query." },
  headers = schema.table(),
  body = schema.string(),
  timeout = schema.duration { min = "1ms", max = "1h", doc = "Limit of the whole call." },
  max_body = schema.size { default = "8MiB", max = "64MiB", doc = "Largest response body." },
  key = schema.string { min = 1, max = 4096,
    doc = "Decides the endpoint, for ring_hash and maglev." },
}, { positional = "path" })

---@class weir.Upstream
local Upstream = core.upstream_methods

local key_function = setmetatable({}, { __mode = "k" }) -- upstream -> function(req)

-- The options with the key that the policy's function makes of the request.
local function with_key(self, req, o)
  if o and o.key then return o end
  local key = key_function[self](req)
  if key == nil then return o end
  return { path = o and o.path, timeout = o and o.timeout, key = tostring(key) }
end

--- Sends the client's request on and streams both ways. Returns at the response head; the body
--- flows behind it when the handler returns the response. A request body of known size up to 64 KiB
--- is read first and kept, so that the request can be sent again; a larger one streams and can be
--- sent once.
---@async
---@param req weir.Request
---@param options table?   `path`, `timeout`, `key`.
---@return weir.Response?
---@return weir.Error?
function Upstream:forward(req, options)
  endpoints.await(self)
  local o = options and forward_options:check(options)
  if key_function[self] then o = with_key(self, req, o) end
  local response, err = core.upstream_forward(self, req, o)
  if response ~= false then return response, err end
  local there
  there, err = core.request_await(req)
  if not there then return nil, err end
  return core.upstream_forward(self, req, o)
end

--- A call of the policy's own; returns when the whole body is there, in `response.body`.
---@async
---@param options string|table   A path, or method, path, headers, body, timeout, max_body, key.
---@return weir.Response?
---@return weir.Error?
function Upstream:request(options)
  endpoints.await(self)
  local o = request_options:check(options)
  return core.upstream_request(self, o)
end

--- `upstream:request` with GET.
---@async
---@param path string
---@return weir.Response?
---@return weir.Error?
function Upstream:get(path)
  endpoints.await(self)
  local o = request_options:check(path)
  return core.upstream_request(self, o)
end

--- Makes these the endpoints, for all workers, until the declaration changes: a list of URLs, or
--- of tables of url, weight and zone. Those that stay keep what is known of them. Not for upstreams
--- whose endpoints are found by `dns`, `srv` or `file`.
---@param list (string|table)[]
---@return true?
---@return weir.Error?
function Upstream:set_endpoints(list)
  return endpoints.set(self, list)
end

--- The endpoints as this worker knows them: `{ url, weight, zone, ejected, unhealthy }` each.
---@return table[]
function Upstream:endpoints()
  return core.endpoints(self)
end

-- Which key the balance hashes: what C reads from the request by itself, or a function.
local function read_hash(name, o)
  local is_hashing = o.balance == "ring_hash" or o.balance == "maglev"
  for _, key in ipairs { "hash", "hash_bound" } do
    if o[key] and not is_hashing then
      error(("upstream '%s': %s is for balance = 'ring_hash' or 'maglev', and it is '%s'")
        :format(name, key, o.balance), 4)
    end
  end
  if o.hash == "client" then o.key_kind = "client" end
  if type(o.hash) ~= "table" then return end
  o.key_kind, o.key_name = next(o.hash)
  if not o.key_kind or next(o.hash, o.key_kind) then
    error(("upstream '%s': hash has one of header, cookie and param"):format(name), 4)
  end
end

local function read_tls(name, o)
  if not o.tls then return end
  o.tls = tls_options:check(o.tls, 4)
  if (o.tls.cert == nil) ~= (o.tls.key == nil) then
    error(("upstream '%s': tls: cert and key go together"):format(name), 4)
  end
  for _, one in ipairs(o.endpoints) do
    if not one.url:find "^[Hh][Tt][Tt][Pp][Ss]:" then
      error(("upstream '%s': tls: endpoint '%s' is not https"):format(name, one.url), 4)
    end
  end
  if o.tls.verify then return end
  composition.warn { id = "unverified-upstream", policy = name, place = core.where(),
    message = "tls.verify is false: whoever answers is taken for the upstream",
    advice = "name the authority that signed its certificate with tls.ca" }
end

local function read_http2(o)
  if o.http2 ~= nil then o.http = o.http2 and "h2" or "h1" end
end

local function read_upgrade(name, o)
  if not o.upgrade then return end
  if o.http2 then
    error(("upstream '%s': upgrade is HTTP/1.1's, and http2 is true"):format(name), 4)
  end
  o.upgrade_list = o.upgrade == true and "websocket" or table.concat(o.upgrade, ",")
end

-- The options as C wants them.
local function read_options(name, options)
  local o = upstream_options:check(options, 3)
  local pool = o.pool and pool_options:check(o.pool, 3) or {}
  o.pool_max, o.pool_idle, o.pool_reuse = pool.max, pool.idle, pool.reuse
  read_hash(name, o)
  endpoints.read_options(name, o)
  read_tls(name, o)
  read_http2(o)
  read_upgrade(name, o)
  return o
end

--- Declares an upstream. Who its endpoints are and how they do is kept by name, shared by all
--- workers, and lives through reloads; so do connections and in-flight counts.
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
  local o = read_options(name, options)
  local handle, message = core.upstream(name, o)
  if not handle then error(("upstream '%s': %s"):format(name, message), 2) end
  if type(o.hash) == "function" then key_function[handle] = o.hash end
  composition.add("upstreams", handle, name)
  composition.declare("upstream", name, o)
  endpoints.start(name, handle, o)
  return handle
end

return M
