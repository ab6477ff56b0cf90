--- What is measured, and the upstream behind it: started with the files of this folder, looked at
--- through /proc, ended.
---
---     local s = servers.start("nginx", { folder = dir, origin = port, workers = 1 })
---     s.port; s:cpu_ns(); s:pss_bytes(); s:stop()
local gateway = require "spec.support.gateway"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

local servers = {}

local PROGRAMS = { nginx = "/usr/sbin/nginx", haproxy = "/usr/sbin/haproxy" }
local HERE = "bench/gateway/"

local function read(path)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

--- Is it on this machine? `weir` and `splice` are built.
function servers.has(kind)
  return PROGRAMS[kind] == nil or read(PROGRAMS[kind]) ~= nil
end

local function configure(name, path, vars)
  write(path, (read(HERE .. name):gsub("%$%(([%w_]+)%)", function(key)
    return tostring(assert(vars[key], name .. " names $(" .. key .. ")"))
  end)))
end

local function wait_for_port(name, port)
  wait.for_(name .. " to listen", function()
    local s = socket.tcp4()
    local ok = s:connect("127.0.0.1", port)
    s:close()
    return ok
  end, 20)
end

local Server = {}
Server.__index = Server

-- One process per worker that share the port.
local function spawn_each(self, command_of)
  for number = 1, self.vars.workers do
    self.processes[number] = process.spawn(command_of(number))
    wait_for_port(self.kind, self.port)
    assert(not self.processes[number]:is_over(), self.processes[number]:stderr())
  end
end

-- TLS to clients is version 1.3 with the cipher that OpenSSL likes best, and session tickets.
local NGINX_TLS = "ssl_certificate %s; ssl_certificate_key %s; ssl_protocols TLSv1.3; "
  .. "ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;"
local HAPROXY_TLS = "ssl crt %s alpn http/1.1 ssl-min-ver TLSv1.3 "
  .. "ciphersuites TLS_AES_256_GCM_SHA384"

local START = {}

function START.upstream(self, vars)
  local path = vars.folder .. "/upstream.conf"
  configure("upstream.conf", path, vars)
  spawn_each(self, function() return { PROGRAMS.nginx, "-c", path, "-p", vars.folder } end)
end

function START.nginx(self, vars)
  local tls = vars.tls
  vars.nginx_listen = tls and "ssl" or ""
  vars.nginx_tls = tls and NGINX_TLS:format(tls.cert, tls.key) or ""
  vars.nginx_log = vars.log and vars.folder .. "/access.log line buffer=64k flush=1s" or "off"
  spawn_each(self, function(number)
    local path = ("%s/nginx-%d-%d.conf"):format(vars.folder, self.port, number)
    vars.number = self.port .. "-" .. number
    configure("nginx.conf", path, vars)
    return { PROGRAMS.nginx, "-c", path, "-p", vars.folder }
  end)
end

function START.haproxy(self, vars)
  vars.haproxy_tls = vars.tls and HAPROXY_TLS:format(vars.tls.both) or ""
  vars.haproxy_log = vars.log and "log stdout format raw local0" or ""
  vars.haproxy_frontend_log = vars.log and "log global\n  option httplog" or ""
  local path = ("%s/haproxy-%d.cfg"):format(vars.folder, self.port)
  configure("haproxy.cfg", path, vars)
  self.processes[1] = process.spawn { PROGRAMS.haproxy, "-db", "-f", path }
  wait_for_port("haproxy", self.port)
end

function START.splice(self, vars)
  spawn_each(self, function()
    return { process.program "bench_splice", self.port, vars.origin }
  end)
end

-- The upstream takes whatever it is sent for a collector's answer of success.
local function tracing(vars)
  return {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = ("http://127.0.0.1:%d/post"):format(vars.origin),
    OTEL_TRACES_SAMPLER = "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG = tostring(vars.traces),
  }
end

function START.weir(self, vars)
  local tls = vars.tls or { cert = "", key = "" }
  self.gateway = gateway.start {
    cert = tls.cert, key = tls.key, workers = vars.workers, heartbeat = "10s",
    log_level = vars.log and "info" or "warn", origin = vars.origin,
    kind = vars.policy and "policy" or "bare", env = vars.traces and tracing(vars),
    read(HERE .. "weir.lua"),
  }
  self.port = self.gateway.port
end

--- Starts one and waits until it listens. `kind`: upstream, nginx, haproxy, splice, weir. `vars`:
--- folder, connections, files, workers (1), log (false), and of a proxy the port `origin` and `tls`:
--- paths of `cert`, `key` and `both` in one (nil: without).
function servers.start(kind, vars)
  local own = setmetatable({ workers = vars.workers or 1 }, { __index = vars })
  local self = setmetatable({ kind = kind, vars = own, processes = {} }, Server)
  self.port = ports.free()
  own.port = self.port
  local ok, message = pcall(START[kind], self, own)
  if not ok then
    self:kill()
    error(message, 0)
  end
  return self
end

--- Master and workers, whatever belongs to it.
function Server:pids()
  local pids = self.gateway and self.gateway:pids() or {}
  if self.gateway then pids[#pids + 1] = self.gateway.process.pid end
  for _, p in ipairs(self.processes) do pids[#pids + 1] = p.pid end
  return pids
end

-- Of each thread: utime + stime of /proc/PID/stat, before they are rounded to ticks of 10 ms.
local function threads_cpu_ns(pid)
  local ns = 0
  local pipe = assert(io.popen(("cat /proc/%d/task/*/schedstat"):format(pid)))
  for line in pipe:lines() do ns = ns + tonumber(line:match "^%d+") end
  pipe:close()
  return ns
end

--- Processor time of all of its processes so far, in nanoseconds.
function Server:cpu_ns()
  self.known = self.known or self:pids()
  local ns = 0
  for _, pid in ipairs(self.known) do ns = ns + threads_cpu_ns(pid) end
  return ns
end

--- Memory of all of its processes, shared pages by their share, in bytes.
function Server:pss_bytes()
  local kb = 0
  for _, pid in ipairs(self:pids()) do
    kb = kb + tonumber(assert(read("/proc/" .. pid .. "/smaps_rollup")):match "\nPss:%s*(%d+)")
  end
  return kb * 1024
end

--- Ends it as an operator would.
function Server:stop()
  if self.gateway then
    self.gateway:stop()
    self.gateway = nil
  end
  self:kill()
end

--- Ends it at once. May be repeated.
function Server:kill()
  if self.gateway then self.gateway:kill() end
  for _, p in ipairs(self.processes) do p:kill() end
  self.processes = {}
end

return servers
