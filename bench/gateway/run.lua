--- Measures weir beside other proxies: scripts/bench gateway. What is compared, and why so:
--- bench/README.md.
---
---     luajit bench/gateway/run.lua [--connections SHARE] [ROUNDS [SECONDS]] [SCENARIO...]
---
--- In a round every proxy has its turn; what is printed is each row's median of the rounds with the
--- least and the most. Ends with 1 when an answer was not what it had to be.

-- An interrupt is looked for between bytecodes, not in compiled code.
require "jit".off()

local certificates = require "spec.support.certificates"
local client = require "bench.gateway.client"
local report = require "bench.gateway.report"
local scenarios = require "bench.gateway.scenarios"
local servers = require "bench.gateway.servers"

local FOLDER = assert(os.getenv "WEIR_BENCH_FOLDER", "start it with scripts/bench gateway")
local CONNECTIONS = 16384 -- that proxies are configured for
local OTHER_FILES = 512 -- what a process has open beside its clients, upstreams included
local RATE_SHARE = 0.4 -- of what the slowest could do at its first turn

local function parse(arguments)
  local o = { numbers = {}, wanted = {}, share = 1 }
  local known = {}
  for _, scenario in ipairs(scenarios) do known[scenario.name] = true end
  local i = 1
  while arguments[i] do
    local number = tonumber(arguments[i])
    if arguments[i] == "--connections" then
      i = i + 1
      o.share = tonumber(arguments[i])
    elseif known[arguments[i]] then
      o.wanted[arguments[i]] = true
      o.has_wanted = true
    elseif number then
      table.insert(o.numbers, number)
    else
      error(("no scenario '%s'; there are: %s"):format(arguments[i], report.names(scenarios)), 0)
    end
    i = i + 1
  end
  o.rounds, o.seconds = o.numbers[1] or 7, o.numbers[2] or 2
  return o
end

-- What runs now, to be ended whatever happens.
local running = {}

local function start(kind, vars)
  local server = servers.start(kind, vars)
  running[#running + 1] = server
  return server
end

local function end_all(how)
  while #running > 0 do
    local server = table.remove(running)
    server[how](server)
  end
end

-- The first answer, looked at; later ones are counted.
local function check_answer(server, scenario, name)
  local status, bytes = client.once(server.port, scenario)
  if status ~= 200 or bytes ~= scenario.bytes then
    error(("%s: %s answered %d with %d bytes, not 200 with %d"):format(scenario.name, name,
      status, bytes, scenario.bytes), 0)
  end
end

local function start_row(scenario, row, vars)
  local own = { policy = row.policy, workers = row.workers, log = row.log, traces = row.traces }
  local server = start(row.kind, setmetatable(own, { __index = vars }))
  check_answer(server, scenario, row.name)
  return server
end

-- What weir, nginx and HAProxy show alike.
local function make_certificate()
  local tls = certificates.new(FOLDER .. "/tls"):make("bench", { san = "IP:127.0.0.1" })
  tls.both = FOLDER .. "/tls/both.pem"
  assert(os.execute(("cat %s %s >%s"):format(tls.cert, tls.key, tls.both)) == 0)
  return tls
end

local function start_rows(scenario, files)
  local vars = { folder = FOLDER, files = files, connections = CONNECTIONS, log = scenario.log,
    tls = scenario.tls and make_certificate() }
  vars.origin = start("upstream", vars).port
  local rows = {}
  for _, row in ipairs(scenario.rows) do
    if servers.has(row.kind) then
      rows[#rows + 1] = { name = row.name, to = row.to or "nginx", errors = 0,
        figures = report.figures(), server = start_row(scenario, row, vars),
        renew = function() return start_row(scenario, row, vars) end }
    else
      report.missing(scenario, row)
    end
  end
  return rows
end

-- For longer, when `seconds` were too few for one answer.
local function until_answered(row, seconds, measure)
  local r = measure(seconds)
  row.errors = row.errors + r.errors
  if r.requests > 0 then return r end
  if seconds > 10 then error(("%s answered nothing in %g s"):format(row.name, seconds), 0) end
  return until_answered(row, seconds * 4, measure)
end

local function run_closed(row, scenario, seconds)
  return until_answered(row, seconds, function(s)
    local before = row.server:cpu_ns()
    local r = client.closed(row.server.port, scenario, s)
    r.us = (row.server:cpu_ns() - before) / 1e3 / r.requests
    return r
  end)
end

local function run_rate(row, scenario, seconds, rate)
  return until_answered(row, seconds, function(s)
    return client.rate(row.server.port, scenario, s, rate)
  end)
end

-- One turn at least before it counts: pools fill, memory is touched.
local function warm_up(rows, scenario, seconds)
  local slowest = math.huge
  for _, row in ipairs(rows) do
    local r = run_closed(row, scenario, math.min(seconds, 1))
    slowest = math.min(slowest, r.requests / r.seconds)
  end
  return slowest * RATE_SHARE
end

local function run_loads(scenario, rows, o)
  local rate = warm_up(rows, scenario, o.seconds)
  local has_rate = scenario.rate and client.has_rate()
  for _ = 1, o.rounds do
    for _, row in ipairs(rows) do
      local f, r = row.figures, run_closed(row, scenario, o.seconds)
      f:add("us", r.us)
      f:add("rps", r.requests / r.seconds)
      if has_rate then r = run_rate(row, scenario, o.seconds, rate) end
      f:add("p50", r.p50_ms)
      f:add("p99", r.p99_ms)
    end
  end
  report.print_loads(scenario, rows, o, has_rate and rate)
end

local function run_idle(scenario, rows, o)
  for _ = 1, o.rounds do
    for _, row in ipairs(rows) do
      local before = row.server:pss_bytes()
      local close = client.idle(row.server.port, scenario, scenario.connections)
      row.figures:add("bytes", (row.server:pss_bytes() - before) / scenario.connections)
      close()
      -- A second time in the same process its memory is there already.
      row.server:stop()
      row.server = row.renew()
    end
  end
  report.print_idle(scenario, rows, o)
end

local function scaled(scenario, share, files)
  local o = setmetatable({}, { __index = scenario })
  o.connections = math.max(1, math.floor(scenario.connections * share))
  local most = files - OTHER_FILES
  if o.connections > most then
    report.few(scenario, most, files)
    o.connections = most
  end
  return o
end

local function write_files()
  os.execute("mkdir -p " .. FOLDER .. "/files")
  for name, size in pairs { ["64k"] = 65536, ["10m"] = 10485760 } do
    local file = assert(io.open(FOLDER .. "/files/" .. name, "w"))
    file:write(("x"):rep(size))
    file:close()
  end
end

local function descriptors()
  local pipe = io.popen "ulimit -n"
  local files = tonumber(pipe:read "*l") or 1048576
  pipe:close()
  return files
end

local function run(o)
  local files, is_clean = descriptors(), true
  write_files()
  for _, scenario in ipairs(scenarios) do
    if not o.has_wanted or o.wanted[scenario.name] then
      local own = scaled(scenario, o.share, files)
      local rows = start_rows(own, files)
      local measure = own.idle and run_idle or run_loads
      measure(own, rows, o)
      is_clean = report.print_errors(own, rows) and is_clean
      end_all "stop"
    end
  end
  return is_clean
end

local ok, result = pcall(function() return run(parse(arg)) end)
end_all "kill"
if not ok then io.stderr:write("bench: ", tostring(result), "\n") end
os.exit(ok and result and 0 or 1)
