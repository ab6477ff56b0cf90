--- What is asked of the proxies. `rate`: also at a fixed rate, for latencies; `log`: with an access
--- log; `tls`: over TLS; `session`: each request after a handshake of its own, "new" or "resumed";
--- `to`: the row that each ratio is to, unless it is nginx's; of a row of weir's `traces`: the share
--- that goes to a collector, which is the upstream.

-- The rows of a table, in the order of their turns.
local NGINX = { name = "nginx", kind = "nginx" }
local HAPROXY = { name = "HAProxy", kind = "haproxy" }
local SPLICE = { name = "splice", kind = "splice" }
local BARE = { name = "weir, bare", kind = "weir" }
local POLICY = { name = "weir, policy", kind = "weir", policy = true }
local ALL = { NGINX, HAPROXY, SPLICE, BARE, POLICY }
local SERVERS = { NGINX, HAPROXY, BARE, POLICY } -- what parses, logs, and keeps connections apart

local SILENT = { name = "weir, silent", kind = "weir", policy = true }
local LOGGED = { name = "weir, access log", kind = "weir", policy = true, log = true,
  to = SILENT.name }
local TRACED = { name = "weir, log and 1 % traced", kind = "weir", policy = true, log = true,
  traces = 0.01, to = SILENT.name }

local function twice(row)
  return { name = row.name .. ", 2 workers", kind = row.kind, policy = row.policy, workers = 2,
    to = row.name }
end

return {
  { name = "small", what = "GET of 27 bytes", path = "/", bytes = 27, connections = 64, rate = true,
    rows = ALL,
    bars = { ["weir, bare"] = { nginx = 0.90, HAProxy = 0.90, splice = 1.35 },
      ["weir, policy"] = { nginx = 1.00 } } },
  { name = "log", what = "the same with an access log", path = "/", bytes = 27, connections = 64,
    log = true, rows = SERVERS, bars = {} },
  { name = "telemetry", what = "the same with what weir tells of it", path = "/", bytes = 27,
    connections = 64, rows = { NGINX, SILENT, LOGGED, TRACED },
    bars = { [LOGGED.name] = { [SILENT.name] = 1.05 }, [TRACED.name] = { [SILENT.name] = 1.10 } } },
  { name = "64k", what = "GET of 64 KiB", path = "/files/64k", bytes = 65536, connections = 64,
    rate = true, rows = ALL,
    bars = { ["weir, bare"] = { nginx = 1.10 }, ["weir, policy"] = { nginx = 1.10 } } },
  { name = "10m", what = "GET of 10 MiB", path = "/files/10m", bytes = 10485760, connections = 8,
    rate = true, rows = ALL,
    bars = { ["weir, bare"] = { nginx = 1.10 }, ["weir, policy"] = { nginx = 1.10 } } },
  { name = "post", what = "POST of 4 KiB", path = "/post", body = 4096, bytes = 27,
    connections = 64, rate = true, rows = ALL, bars = {} },
  { name = "upload", what = "POST of 1 MiB", path = "/post", body = 1048576, bytes = 27,
    connections = 16, rate = true, rows = ALL, bars = {} },
  { name = "close", what = "GET of 27 bytes, each on a new connection", path = "/", close = true,
    bytes = 27, connections = 64, rows = ALL, bars = {} },
  { name = "tls", what = "GET of 27 bytes over TLS 1.3", path = "/", bytes = 27, tls = true,
    connections = 64, rate = true, rows = SERVERS, bars = {} },
  { name = "tls-close", what = "the same, each after a handshake of its own", path = "/", bytes = 27,
    tls = true, session = "new", connections = 64, rows = SERVERS, bars = {} },
  { name = "tls-resume", what = "the same, by the ticket of the session before", path = "/",
    bytes = 27, tls = true, session = "resumed", connections = 64, rows = SERVERS, bars = {} },
  { name = "workers", what = "GET of 27 bytes, one worker and two", path = "/", bytes = 27,
    connections = 64,
    rows = { NGINX, twice(NGINX), HAPROXY, twice(HAPROXY), BARE, twice(BARE), POLICY,
      twice(POLICY) },
    -- Twice the processor time, 1.8 times the requests: 2 / 1.8 of the time for each.
    bars = { ["weir, bare, 2 workers"] = { ["weir, bare"] = 1.11 },
      ["weir, policy, 2 workers"] = { ["weir, policy"] = 1.11 } } },
  { name = "idle", what = "memory of connections that wait after an answer", path = "/", bytes = 27,
    connections = 10000, idle = true, rows = SERVERS,
    bars = { ["weir, bare"] = { HAProxy = 1.00 }, ["weir, policy"] = { HAProxy = 1.00 } } },
}
