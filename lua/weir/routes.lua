--- What is served where.
local composition = require "weir.core.composition"
local core = require "weir.core"
local layer = require "weir.layer"
local schema = require "weir.schema"
local tls = require "weir.tls"

local M = {}

local PATH_MAX = 107 -- bytes of a Unix socket's path, unix(7)

-- "8080", ":8080", "127.0.0.1:8080", "[::1]:8080", "unix:/run/weir.sock" in one form.
local function normal_address(text)
  if type(text) == "number" then text = tostring(text) end
  if type(text) ~= "string" then return nil end
  local path = text:match "^unix:(/.*)$"
  if path and #path > PATH_MAX then
    return nil, (": a Unix socket's path has at most %d bytes, this one has %d"):format(PATH_MAX,
      #path)
  end
  if path then return not path:find "%c" and text or nil end
  local host, port = text:match "^%[([%x:.]+)%]:(%d+)$"
  if not host then host, port = text:match "^([%w.-]*):(%d+)$" end
  if not host then host, port = "", text:match "^(%d+)$" end
  local number = tonumber(port)
  if not number or number > 65535 then return nil end
  if host == "" or host == "*" then host = "0.0.0.0" end
  if host == "localhost" then host = "127.0.0.1" end
  if host:find ":" then return ("[%s]:%d"):format(host, number) end
  return host:find "^%d+%.%d+%.%d+%.%d+$" and ("%s:%d"):format(host, number) or nil
end

local networks = schema.list(schema.string { min = 1, max = 64 }, { max = 64,
  doc = "Whose header is read; all others are refused. Default: everybody must send one." })

local listen_options = schema.new("listen", {
  proxy_protocol = schema.either { schema.boolean(),
    schema.new("proxy_protocol", { from = networks }),
    doc = "Connections begin with a PROXY header, version 1 or 2, that says who the client is; "
      .. "`{ from = { \"10.0.0.0/8\" } }` reads it from these and refuses all others." },
  http2 = schema.boolean { default = true,
    doc = "Speaks HTTP/2: over TLS by ALPN, in the clear to clients that begin with it." },
  connections_per_client = schema.integer { min = 1, max = 1000000,
    doc = "Connections of one client, in all workers; further ones are closed at once." },
  mode = schema.string { min = 3, max = 4, pattern = "^0?[0-7][0-7][0-7]$",
    what = "an octal mode like \"0660\"", default = "0660",
    doc = "Who may connect to a Unix socket: the mode of its file." },
  tls = tls.options,
  trusted_proxies = schema.list(schema.string { min = 1, max = 64 }, { max = 64,
    doc = "Networks whose X-Forwarded-For and its like are believed, on all listeners." }),
  priority_header = schema.string { min = 1, max = 64, pattern = "^[%w-]+$",
    what = "a header's name",
    doc = "Field with which trusted proxies say a request's priority; on all listeners." },
})

-- Who must introduce its clients, and who may.
local function demand_header(listener, o)
  local from = type(o.proxy_protocol) == "table" and o.proxy_protocol.from or {}
  for _, network in ipairs(from) do
    local ok, message = core.listen_from(listener, network)
    if not ok then error("listen: proxy_protocol: from: " .. message, 3) end
  end
end

--- Serves on an address: `weir.listen "127.0.0.1:8080"`, `":8080"` for all IPv4 addresses,
--- `"[::1]:8080"`, `"[::]:8080"` for all IPv6 and IPv4 addresses, `"unix:/run/weir.sock"`. A reload
--- may add and remove listeners. What clients say about themselves (X-Forwarded-*) is dropped
--- unless they are in `trusted_proxies`, like `{ "10.0.0.0/8", "unix" }`; behind those,
--- `req.client` is the rightmost address of X-Forwarded-For that is not trusted itself.
---@param address string|number
---@param options table?   `tls`, `trusted_proxies`, `proxy_protocol`, `connections_per_client`, …
function M.listen(address, options)
  local normal, problem = normal_address(address)
  if not normal then
    error(("listen: '%s' is not an address%s"):format(tostring(address):sub(1, 64), problem
      or "; write \"127.0.0.1:8080\", \":8080\", \"[::1]:8080\" or \"unix:/path\""), 2)
  end
  local o = listen_options:check(options or {})
  if options and options.mode and not normal:find "^unix:" then
    error(("listen: mode: '%s' is no Unix socket and has no mode"):format(normal), 2)
  end
  for _, network in ipairs(o.trusted_proxies or {}) do
    local ok, message = core.trust(network)
    if not ok then error("listen: trusted_proxies: " .. message, 2) end
  end
  if o.priority_header then
    local ok, message = core.priority_header(o.priority_header)
    if not ok then error("listen: priority_header: " .. message, 2) end
  end
  local listener, refusal = core.listen(normal, { place = core.where(), mode = tonumber(o.mode, 8),
    is_proxied = o.proxy_protocol and true or false, per_client = o.connections_per_client or 0,
    no_h2 = not o.http2 })
  if not listener then error(("listen: '%s': %s"):format(normal, refusal), 2) end
  composition.declare("listener", normal, o)
  demand_header(listener, o)
  if not o.tls then return end
  local ok, message = tls.listen(normal, o.tls, o.http2)
  if not ok then error(("listen: tls: %s"):format(message), 2) end
end

local route_options = schema.new("route", {
  deadline = schema.duration { min = "1ms", max = "1h", default = "10s",
    doc = "Limit of the whole request, up to its response head." },
  host = schema.string { min = 1, max = 255,
    doc = "Only for this host; \"*.example.com\" for all below." },
  body_max = schema.size { doc = "Largest request body; 413 beyond." },
  on_error = schema.either { schema.enum { "closed", "open" }, schema.func(),
    doc = "When the handler raises: \"closed\" answers 500, \"open\" forwards the request bare to "
      .. "`upstream`, after 5 times in a row without asking the handler for a while, "
      .. "a function(req, err) answers in its place." },
  priority = schema.enum { "critical", "high", "normal", "low", "background", default = "normal",
    doc = "How important its requests are to shedders and `weir.overload`." },
  exempt = schema.boolean { default = false, doc = "`weir.overload` never sheds it." },
  timing = schema.boolean { default = false,
    doc = "Its answers say in `Server-Timing` how long queues, upstreams and all of it took." },
  upstream = schema.any { doc = "Where on_error = \"open\" forwards to." },
})

-- "open" is a function like any other: the request goes on without what the handler would have
-- done.
local function on_error(pattern, o)
  if o.on_error ~= "open" then return o.on_error end
  local upstream = o.upstream
  if type(upstream) ~= "userdata" then
    error(("route '%s': on_error = \"open\" needs `upstream`, where requests then go")
      :format(pattern), 3)
  end
  return function(req) return upstream:forward(req) end
end

-- After this many script errors in a row the handler is not asked for a while.
local BREAKER = { failure_rate = 0, consecutive = 5, probes = 1 }
local NAME_MAX = 127

-- A route that can do without its handler has a breaker for it.
local function breaker(pattern, o, place)
  if o.on_error ~= "open" then return nil end
  local name = ("route %s%s"):format(o.host and o.host .. " " or "", pattern)
  if #name > NAME_MAX then name = ("route at " .. place):sub(1, NAME_MAX) end
  return layer.declared("route", place, core.breaker(name, BREAKER))
end

--- Serves a route: `weir.route("GET /users/:id", function(req) … end)`, options in between if any.
--- The handler returns a response, a string, or `nil, err`. Patterns: static, `:name` for one
--- segment, `*name` for the rest; several methods as "GET,POST /x", none for all.
---@param pattern string
---@param options table|function
---@param handler (async fun(req: weir.Request): weir.Response|string|nil, weir.Error?)?
function M.route(pattern, options, handler)
  if handler == nil then options, handler = {}, options end
  if type(pattern) ~= "string" then
    error("route: the pattern must be a string like \"GET /users/:id\"", 2)
  end
  if type(handler) ~= "function" then
    error(("route '%s': the handler is a %s, not a function"):format(pattern, type(handler)), 2)
  end
  local o = route_options:check(options)
  local place = core.where()
  core.route(pattern, { deadline = o.deadline, host = o.host, body_max = o.body_max,
    priority = o.priority, exempt = o.exempt, timing = o.timing, place = place,
    on_error = on_error(pattern, o), breaker = breaker(pattern, o, place) },
    handler)
  composition.add_route { pattern = pattern, host = o.host, place = place, deadline = o.deadline,
    options = o, roots = { handler, o.on_error, o.upstream } }
end

return M
