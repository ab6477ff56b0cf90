--- Runs the programs of this folder in turns and prints medians side by side: scripts/bench.
---
--- One round measures everything once, each for a few milliseconds, so that whatever else the
--- machine does meanwhile falls on all alike. Figures are in nanoseconds per operation.
local gateway = require "spec.support.gateway"
local raw = require "spec.support.raw"

local ROUNDS = tonumber(arg[1]) or 11
local MS = tonumber(arg[2]) or 20
local CALLS = 20000 -- from Lua in one request: well below the burst limit of the watchdog

local PROGRAMS = {
  ("build/release/bench_primitives %d"):format(MS),
  ("build/bench/peers %d"):format(MS),
  ("NODE_PATH=build/bench/node_modules node --expose-gc bench/primitives/peers.cjs %d"):format(MS),
}

-- What a policy of policies.lua is called in the table.
local FROM_LUA = {
  breaker = "breaker admit + report", bulkhead = "bulkhead take + give",
  shedder = "shedder admit + report", throttle = "throttle admit + report",
  hedge = "hedge decision + report", limiter = "limiter try", retry = "retry around a success", timeout = "timeout around a success",
  all = "deadline, retry, breaker, bulkhead, timeout",
}

-- What the issue demands, in nanoseconds: of the guard, and from Lua.
local BARS = {
  ["breaker admit + report"] = { guard = 60, lua = 250 },
  ["bulkhead take + give"] = { guard = 60, lua = 250 },
  ["limiter try"] = { guard = 60, lua = 250 },
}

-- Figures: what -> how -> list of numbers, in the order of their first appearance.
local rows, order = {}, {}

local function add(what, how, number, unit)
  local key = what .. (unit == "bytes" and " (bytes)" or "")
  if not rows[key] then
    rows[key] = { unit = unit, order = {} }
    order[#order + 1] = key
  end
  local row = rows[key]
  if not row[how] then
    row[how] = {}
    row.order[#row.order + 1] = how
  end
  table.insert(row[how], number)
end

local function run_program(command)
  local pipe = assert(io.popen(command))
  for line in pipe:lines() do
    local what, how, number, unit = line:match "^(.-)\t(.-)\t(.-)\t(.*)$"
    assert(what, "not a figure: " .. line)
    add(what, how, tonumber(number), unit)
  end
  assert(pipe:close(), command .. " failed")
end

-- From Lua: the worker's processor time, as the kernel counts it, around one request.

local function processor_ns(pid)
  local file = assert(io.open(("/proc/%d/schedstat"):format(pid)))
  local ns = file:read "*n"
  file:close()
  return ns
end

local function cost_of_request(g, client, name, count)
  local before = processor_ns(g.pid)
  client:send(gateway.head("GET", ("/run/%s/%d"):format(name, count)))
  assert(client:response().status == 200)
  return processor_ns(g.pid) - before
end

local function start_worker()
  local file = assert(io.open "bench/primitives/policies.lua")
  local g = gateway.start { workers = 1, log_level = "warn", file:read "*a" }
  file:close()
  g.pid = g:pids()[1]
  g.names = { "nothing" }
  for name in pairs(FROM_LUA) do
    local pass = g:get(("/run/%s/%d"):format(name, 1)).status == 200
    if pass then g.names[#g.names + 1] = name end
  end
  return g
end

local function run_lua(g)
  local client, nothing = raw.connect(g.port), nil
  local empty = cost_of_request(g, client, "nothing", 0)
  for _, name in ipairs(g.names) do
    local ns = (cost_of_request(g, client, name, CALLS) - empty) / CALLS
    if name == "nothing" then
      nothing = ns
      add("an empty policy", "lua", ns, "ns")
    else
      add(FROM_LUA[name], "lua", ns - nothing, "ns")
    end
  end
  client:close()
end

-- The table.

local function median(list)
  table.sort(list)
  return (list[math.floor((#list + 1) / 2)] + list[math.floor(#list / 2) + 1]) / 2
end

local function print_table()
  for _, key in ipairs(order) do
    local row = rows[key]
    print(key)
    for _, how in ipairs(row.order) do
      local list = row[how]
      print(("  %-28s %9.1f   (%.1f to %.1f)"):format(how, median(list), list[1], list[#list]))
    end
  end
end

local function print_bars()
  print "bars"
  for _, key in ipairs(order) do
    for how, most in pairs(BARS[key] or {}) do
      local list = rows[key][how]
      local is_met = list and median(list) < most
      print(("  %-26s %-6s below %3d ns: %s"):format(key, how, most,
        not list and "not measured" or is_met and "yes" or "NO"))
    end
  end
end

local g = start_worker()
for _ = 1, ROUNDS do
  for _, command in ipairs(PROGRAMS) do run_program(command) end
  run_lua(g)
end
g:stop()
print(("medians of %d rounds (least to most), ns per operation where no unit is named")
  :format(ROUNDS))
print_table()
print_bars()
