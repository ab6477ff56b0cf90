--- The clients: wrk in a closed loop, h2load at a fixed rate or with TLS sessions that wrk leaves to
--- chance, and connections that are idle.
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local client = {}

local WRK, H2LOAD, CURL = "/usr/bin/wrk", "/usr/bin/h2load", "/usr/bin/curl"

-- Nothing of ours runs per response: it would slow wrk down. Lua makes one request for all.
local SCRIPT = [[
  wrk.method = "%s"
  wrk.body = %s
  wrk.headers["Connection"] = %s
  function done(summary, latency)
    local e = summary.errors
    io.write(("done %%d requests %%d us %%d errors p50 %%d p99 %%d us\n"):format(
      summary.requests, summary.duration,
      e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50),
      latency:percentile(99)))
  end
]]

local function url(port, scenario)
  local scheme = scenario.tls and "https" or "http"
  return ("%s://127.0.0.1:%d%s"):format(scheme, port, scenario.path)
end

local function temporary(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  return name
end

-- Runs `command` until `wait_for(process)` returns; its output. Ended, and the files of `files`
-- removed, also when we are interrupted.
local function run(command, files, wait_for)
  local p = process.spawn(command)
  local ok, message = pcall(wait_for, p)
  local out = p:stdout() .. p:stderr()
  p:kill()
  local left = ok and files.result and io.open(files.result)
  local result = left and left:read "*a"
  if left then left:close() end
  for _, name in pairs(files) do os.remove(name) end
  if not ok then error(message, 0) end
  return out, result
end

-- Does it catch SIGINT by now? Before, it would die of it or not hear it.
local function is_listening(wrk)
  local file = io.open(("/proc/%d/status"):format(wrk.pid))
  local last = file and file:read("*a"):match "SigCgt:%s*%x*(%x)\n"
  if file then file:close() end
  if wrk:is_over() then error("wrk said: " .. wrk:stderr(), 0) end
  return last and bit.band(tonumber(last, 16), 2) ~= 0
end

local function write_script(scenario)
  local body = scenario.body and ('("x"):rep(%d)'):format(scenario.body) or "nil"
  return temporary(SCRIPT:format(scenario.body and "POST" or "GET", body,
    scenario.close and '"close"' or "nil"))
end

local function closed(port, scenario, seconds)
  local script = write_script(scenario)
  local command = { WRK, "-t", math.min(2, scenario.connections), "-c", scenario.connections, "-d",
    "3600s", "--timeout", "30s", "-s", script, url(port, scenario) }
  local out = run(command, { script }, function(wrk)
    wait.for_("wrk to begin", function() return is_listening(wrk) end, 30)
    wait.pause(seconds * 1000)
    -- It stops when interrupted, and tells how long it ran; `-d` knows whole seconds only.
    wrk:signal "INT"
    wrk:wait(60)
  end)
  local requests, us, errors, p50, p99 = out:match(
    "done (%d+) requests (%d+) us (%d+) errors p50 (%d+) p99 (%d+) us")
  if not requests then error("wrk said: " .. out, 0) end
  return { requests = tonumber(requests), seconds = us / 1e6, errors = tonumber(errors),
    p50_ms = p50 / 1e3, p99_ms = p99 / 1e3 }
end

--- Can requests be sent at a fixed rate here?
function client.has_rate()
  local file = io.open(H2LOAD)
  if file then file:close() end
  return file ~= nil
end

-- Lines of h2load's log, added to `times`: time of the start, status, microseconds.
local function read_log(text, times)
  local bad = 0
  for status, us in text:gmatch "%d+\t(%-?%d+)\t(%d+)" do
    times[#times + 1] = tonumber(us)
    if status ~= "200" then bad = bad + 1 end
  end
  return bad
end

local function percentile(sorted, share)
  return (sorted[math.max(1, math.ceil(#sorted * share))] or 0) / 1e3
end

local function result(times, bad, seconds)
  table.sort(times)
  return { requests = #times, errors = bad, seconds = seconds, p50_ms = percentile(times, 0.5),
    p99_ms = percentile(times, 0.99) }
end

local function h2load(port, scenario, times, options)
  local files = { result = temporary "" }
  local command = { H2LOAD, "--h1", "-c", scenario.connections, "--log-file=" .. files.result }
  for _, word in ipairs(options) do command[#command + 1] = word end
  if scenario.body then
    files.body = temporary(("x"):rep(scenario.body))
    command[#command + 1] = "--data=" .. files.body
  end
  command[#command + 1] = url(port, scenario)
  local out, log = run(command, files, function(p) p:wait(options.seconds) end)
  if not out:find("status codes:", 1, true) then error("h2load said: " .. out, 0) end
  return read_log(log, times)
end

-- A client of h2load resumes the session of its own last connection, and has none at first: batches
-- of one request for each, or of as many more as make the first of no account.
local function handshakes(port, scenario, seconds)
  local count = scenario.connections * (scenario.session == "new" and 1 or 50)
  local options = { "-n", count, "-H", "connection: close", seconds = 60 }
  local times, bad, from = {}, 0, wait.now()
  repeat
    local before = #times
    bad = bad + h2load(port, scenario, times, options)
    bad = bad + count - (#times - before)
  until wait.now() - from >= seconds
  return result(times, bad, wait.now() - from)
end

--- As many requests as `scenario.connections` can get done one after another in `seconds`.
--- Returns requests, seconds, errors (of sockets, or a status that is not 2xx), p50_ms, p99_ms:
--- of a scenario with handshakes these are from the end of the handshake.
function client.closed(port, scenario, seconds)
  return (scenario.session and handshakes or closed)(port, scenario, seconds)
end

--- `rate` requests a second, spread evenly over the connections, for `seconds`. Returns requests,
--- errors, p50_ms, p99_ms. A request that its connection could not send in time counts from when
--- it was sent.
function client.rate(port, scenario, seconds, rate)
  local times = {}
  local bad = h2load(port, scenario, times, { "-t", 1, "-D", math.ceil(seconds * 1000) .. "ms",
    "--rps", ("%.3f"):format(rate / scenario.connections), seconds = seconds + 60 })
  return result(times, bad)
end

local REQUEST = "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

local function once_tls(port, scenario)
  local p = process.spawn { CURL, "-sk", "--http1.1", "-o", "/dev/null", "-w",
    "%{http_code} %{size_download}", url(port, scenario) }
  p:wait()
  local status, bytes = p:stdout():match "^(%d+) (%d+)$"
  p:kill()
  return tonumber(status), tonumber(bytes)
end

--- One request, looked at: its status, and how many bytes its body had of those that its head
--- promised.
function client.once(port, scenario)
  if scenario.tls then return once_tls(port, scenario) end
  local body = scenario.body and ("x"):rep(scenario.body) or ""
  local c = raw.connect(port)
  c:send(("%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n%s\r\n%s"):format(
    scenario.body and "POST" or "GET", scenario.path, #body,
    scenario.close and "Connection: close\r\n" or "", body))
  local head = c:head()
  local bytes = c:skip(tonumber(head.headers["content-length"] or 0))
  c:close()
  return head.status, bytes
end

--- `count` connections that have each had an answer and wait: a function that closes them.
function client.idle(port, scenario, count)
  local all = {}
  for i = 1, count do
    local c = raw.connect(port)
    c:send(REQUEST:format(scenario.path))
    local status = c:response().status
    if status ~= 200 then error(("connection %d was answered %d"):format(i, status), 0) end
    all[i] = c
  end
  return function()
    for _, c in ipairs(all) do c:close() end
  end
end

return client
