--- Figures of the rounds, and the tables made of them.
local report = {}

local Figures = {}
Figures.__index = Figures

--- Lists of numbers by name, one a round.
function report.figures()
  return setmetatable({}, Figures)
end

function Figures:add(name, number)
  self[name] = self[name] or {}
  table.insert(self[name], number)
end

local function sorted(list)
  local copy = {}
  for i, number in ipairs(list) do copy[i] = number end
  table.sort(copy)
  return copy
end

-- Median, least, most.
local function spread(list)
  local s = sorted(list)
  return (s[math.floor((#s + 1) / 2)] + s[math.floor(#s / 2) + 1]) / 2, s[1], s[#s]
end

-- The figures of one row by those of another, round by round: they ran side by side.
local function ratios(row, other, name)
  local list = {}
  for i, number in ipairs(row.figures[name]) do list[i] = number / other.figures[name][i] end
  return list
end

local function row_named(rows, name)
  for _, row in ipairs(rows) do
    if row.name == name then return row end
  end
end

local function cell(format, list)
  local median, least, most = spread(list)
  return ((format .. " (" .. format .. " to " .. format .. ")"):format(median, least, most))
end

--- Names of the scenarios in one line.
function report.names(scenarios)
  local names = {}
  for i, scenario in ipairs(scenarios) do names[i] = scenario.name end
  return table.concat(names, ", ")
end

--- A proxy that is not on this machine.
function report.missing(scenario, row)
  print(("%s: %s is not installed: scripts/setup --bench"):format(scenario.name, row.name))
end

--- Fewer connections than wanted.
function report.few(scenario, count, files)
  print(("%s: %d connections instead of %d, for a process may have %d descriptors"):format(
    scenario.name, count, scenario.connections, files))
end

-- The ratio bars of the issue: of the medians of what ran side by side.
local function print_bars(scenario, rows, figure)
  for _, row in ipairs(rows) do
    for to, most in pairs(scenario.bars[row.name] or {}) do
      local other = row_named(rows, to)
      local median = other and spread(ratios(row, other, figure))
      print(("  bar: %s at most %.2f of %s: %s"):format(row.name, most, to,
        not other and "not measured" or ("%.2f, %s"):format(median,
          median <= most and "yes" or "NO")))
    end
  end
end

local function head(scenario, o)
  print(("\n%s: %s; %d connections, access log %s; %d rounds of %g s")
    :format(scenario.name, scenario.what, scenario.connections, scenario.log and "on" or "off",
      o.rounds, o.seconds))
end

--- The table of a load. `rate` is requests a second where latencies are of a fixed rate.
function report.print_loads(scenario, rows, o, rate)
  head(scenario, o)
  local at = rate and ("at %.0f/s"):format(rate) or "closed loop"
  print(("  %-24s %-26s %-22s %10s   %s"):format("", "CPU us a request", "to nginx, or to one",
    "requests/s", "p50, p99 in ms " .. at))
  for _, row in ipairs(rows) do
    local f, other = row.figures, row_named(rows, row.to)
    print(("  %-24s %-26s %-22s %10.0f   %.2f, %s"):format(row.name, cell("%.1f", f.us),
      other and cell("%.2f", ratios(row, other, "us")) or "-", (spread(f.rps)), (spread(f.p50)),
      cell("%.2f", f.p99)))
  end
  print_bars(scenario, rows, "us")
end

--- The table of idle connections.
function report.print_idle(scenario, rows, o)
  head(scenario, o)
  print(("  %-24s %-30s %s"):format("", "bytes a connection (PSS)", "to nginx"))
  for _, row in ipairs(rows) do
    local other = row_named(rows, "nginx")
    print(("  %-24s %-30s %s"):format(row.name, cell("%.0f", row.figures.bytes),
      other and cell("%.2f", ratios(row, other, "bytes")) or "-"))
  end
  print_bars(scenario, rows, "bytes")
end

--- What was not answered as it had to be. True when there is nothing to tell.
function report.print_errors(scenario, rows)
  local is_clean = true
  for _, row in ipairs(rows) do
    if row.errors > 0 then
      print(("  %s: %s: %d requests FAILED or were not answered 2xx"):format(scenario.name,
        row.name, row.errors))
      is_clean = false
    end
  end
  return is_clean
end

return report
