--- Load for the bars: wrk, nginx as an upstream, and what a run left behind.
---
---     local n = load.nginx(port)           -- answers 200 with a few bytes, in keep-alive
---     local w = load.wrk(g.port, { path = "/", connections = 64, seconds = 10 })
---     local r = w:result()                 -- requests, socket_errors, bad (status from 400),
---     p99_ms
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local load = {}

--- The bars run for a long time when WEIR_BARS=long, else as long as CI can spare.
load.is_long = os.getenv "WEIR_BARS" == "long"

local COUNTER = [[
  local threads = {}
  function setup(thread) table.insert(threads, thread) end
  function init() statuses, odd = {}, 0 end
  function response(status, headers, body)
    local key = status
    statuses[key] = (statuses[key] or 0) + 1
    if status ~= 200 and odd < 3 then odd = odd + 1; io.stderr:write(status, " ", body, "\n") end
    text = ""
    for k, v in pairs(statuses) do text = text .. k .. "=" .. v .. " " end
  end
  function done(summary, latency)
    local e = summary.errors
    io.write(("requests %d connect %d read %d write %d timeout %d p99_us %d\n"):format(
      summary.requests, e.connect, e.read, e.write, e.timeout, latency:percentile(99)))
    for _, thread in ipairs(threads) do io.write("statuses " .. (thread:get "text" or "")
      .. "\n") end
  end
]]

local Wrk = {}
Wrk.__index = Wrk

--- Starts wrk. Options: path, connections (64), threads (2), seconds, script (Lua before ours).
function load.wrk(port, options)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write((options.script or "") .. COUNTER)
  file:close()
  local self = setmetatable({ name = name, seconds = options.seconds }, Wrk)
  self.process = process.spawn { "/usr/bin/wrk", "-t", options.threads or 2, "-c",
    options.connections or 64, "-d", options.seconds .. "s", "--timeout", "5s", "-s", name,
    ("http://127.0.0.1:%d%s"):format(port, options.path or "/") }
  return self
end

function Wrk:is_over() return self.process:is_over() end

--- Waits for its end.
function Wrk:result()
  self.process:wait(self.seconds + 30)
  local out, err = self.process:stdout(), self.process:stderr()
  self.process:kill()
  os.remove(self.name)
  local r = { statuses = {}, bad = 0, output = out .. err }
  local requests, connect, read, write, timeout, p99 = out:match(
    "requests (%d+) connect (%d+) read (%d+) write (%d+) timeout (%d+) p99_us (%d+)")
  assert(requests, "wrk said: " .. out .. err)
  r.requests, r.p99_ms = tonumber(requests), tonumber(p99) / 1000
  r.connect, r.read, r.write, r.timeout = tonumber(connect), tonumber(read), tonumber(write),
    tonumber(timeout)
  r.socket_errors = r.connect + r.read + r.write + r.timeout
  for line in out:gmatch "statuses ([^\n]*)" do
    for status, count in line:gmatch "(%d+)=(%d+)" do
      r.statuses[status] = (r.statuses[status] or 0) + tonumber(count)
      if tonumber(status) >= 400 then r.bad = r.bad + tonumber(count) end
    end
  end
  return r
end

local Steady = {}
Steady.__index = Steady

--- Starts hey: 2,000 requests a second by 20 connections for `seconds`, whatever the answers take.
function load.steady(port, seconds)
  return setmetatable({ seconds = seconds, process = process.spawn { "/usr/bin/hey", "-z",
    seconds .. "s", "-c", 20, "-q", 100, "http://127.0.0.1:" .. port .. "/" } }, Steady)
end

function Steady:is_over() return self.process:is_over() end

--- Waits for its end: requests that were answered, `bad` those not with 200, `errors` those not at
--- all, p99_ms.
function Steady:result()
  self.process:wait(self.seconds + 30)
  local out = self.process:stdout()
  self.process:kill()
  local r = { requests = 0, bad = 0, errors = 0, output = out }
  r.p99_ms = assert(tonumber(out:match "99%% in ([%d.]+) secs"), out) * 1000
  for status, count in out:gmatch "%[(%d+)%]%s+(%d+) responses" do
    r.requests = r.requests + tonumber(count)
    if status ~= "200" then r.bad = r.bad + tonumber(count) end
  end
  for count in (out:match "Error distribution:(.*)" or ""):gmatch "%[(%d+)%]" do
    r.errors = r.errors + tonumber(count)
  end
  return r
end

--- Processor time of pids and of the children that they have waited for, in milliseconds.
function load.processor_ms(pids)
  local ticks = 0
  for _, pid in ipairs(pids) do
    local file = assert(io.open("/proc/" .. pid .. "/stat"))
    local at = 11 -- utime, stime, cutime, cstime behind the name, whose end is the last ")"
    for number in file:read("*a"):match(".*%)(.*)"):gmatch "%S+" do
      at = at - 1
      if at < 0 and at >= -4 then ticks = ticks + tonumber(number) end
    end
    file:close()
  end
  return ticks * 10
end

--- A line of figures for people, on standard error where the runner leaves it alone.
function load.report(name, text)
  local file = io.open(os.getenv "WEIR_BARS_OUT" or "/dev/null", "a")
  file:write(("%s: %s\n"):format(name, text))
  file:close()
end

local NGINX = [[
daemon off; master_process off; worker_processes 1; pid %s/nginx.pid; error_log %s/error.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000;
  client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u;
    scgi_temp_path %s/s;
  server { listen 127.0.0.1:%d reuseport; location / { default_type application/json;
    return 200 '{"ok":true}'; } }
}
]]

local Nginx = {}
Nginx.__index = Nginx

--- nginx on a port: `n:start()`, `n:kill()` (SIGKILL), `n:remove()`.
function load.nginx(port)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  local file = assert(io.open(folder .. "/nginx.conf", "w"))
  file:write((NGINX:gsub("%%s", folder):gsub("%%d", tostring(port))))
  file:close()
  local self = setmetatable({ folder = folder, port = port }, Nginx)
  self:start()
  return self
end

function Nginx:start()
  self.process = process.spawn { "/usr/sbin/nginx", "-c", self.folder .. "/nginx.conf", "-p",
    self.folder }
  wait.for_("nginx to listen", function()
    local s = require("socket").tcp4()
    local ok = s:connect("127.0.0.1", self.port)
    s:close()
    return ok
  end)
end

function Nginx:kill()
  self.process:kill()
end

function Nginx:remove()
  self:kill()
  os.execute("rm -rf " .. self.folder)
end

--- Resident private memory (kB) and descriptors of pids together.
function load.footprint(pids)
  local kb, fds = 0, 0
  for _, pid in ipairs(pids) do
    local file = io.open("/proc/" .. pid .. "/status")
    if file then
      kb = kb + tonumber(file:read("*a"):match "RssAnon:%s*(%d+)")
      file:close()
    end
    local pipe = io.popen("ls /proc/" .. pid .. "/fd 2>/dev/null | wc -l")
    fds = fds + tonumber(pipe:read "*a")
    pipe:close()
  end
  return kb, fds
end

return load
