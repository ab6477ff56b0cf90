--- spec/INVARIANTS.md: every invariant and every golden vector has a spec, and it is there.
local tree = require "spec.lint.tree"

local TABLE = "spec/INVARIANTS.md"

-- What must have a row. The vectors are those of research/resilience.md §2 for what weir builds.
local INVARIANTS = 12
local VECTORS = {
  "backoff formulae", "smooth jitter", "client throttling", "GCRA", "Vegas", "Gradient2", "CoDel",
  "hedging delay",
}

-- Rows of the tables: first cell -> list of { path, name }.
local function read_rows(text)
  local rows = {}
  for line in text:gmatch "[^\n]+" do
    local first, tests = line:match "^| ([^|]-) |[^|]*| (.*) |$"
    if first and tests:find "`" then
      rows[first] = {}
      for path, name in tests:gmatch '`([^`]+)` "([^"]*)"' do
        table.insert(rows[first], { path = "spec/" .. path, name = name })
      end
    end
  end
  return rows
end

-- A name may go on after what is quoted, when it is put together in the spec.
local function has_test(read, path, name)
  local text = read(path)
  if not text then return false end
  for _, opening in ipairs { 'it("', 'it "' } do
    if text:find(opening .. name .. '"', 1, true) then return true end
  end
  return false
end

local function check(text, read)
  local problems, rows = {}, read_rows(text)
  local function need(what)
    if rows[what] and #rows[what] > 0 then return end
    problems[#problems + 1] = ("%s: '%s' has no spec: add a row"):format(TABLE, what)
  end
  for i = 1, INVARIANTS do need(tostring(i)) end
  for _, vector in ipairs(VECTORS) do need(vector) end
  for what, tests in pairs(rows) do
    for _, test in ipairs(tests) do
      if not has_test(read, test.path, test.name) then
        problems[#problems + 1] = ('%s: \'%s\': %s has no it("%s"): mend the row or the spec')
          :format(TABLE, what, test.path, test.name)
      end
    end
  end
  table.sort(problems)
  return problems
end

local function read_if_there(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

describe("the table of invariants", function()
  it("names a spec for each, and each spec is there", function()
    tree.expect_none(check(tree.read(TABLE), read_if_there))
  end)

  it("is found wanting when a row or a spec is missing", function()
    local function read(path)
      return path == "spec/a_spec.lua" and 'it("holds", f)\nit("holds on " .. x, f)' or nil
    end
    local rows = {}
    for i = 1, INVARIANTS do rows[i] = ('| %d | x | `a_spec.lua` "holds" |'):format(i) end
    for _, vector in ipairs(VECTORS) do
      rows[#rows + 1] = ('| %s | x | `a_spec.lua` "holds on " |'):format(vector)
    end
    assert.same({}, check(table.concat(rows, "\n"), read))
    rows[1] = '| 1 | x | `a_spec.lua` "falls" |'
    rows[2] = '| 2 | x | `b_spec.lua` "holds" |'
    table.remove(rows, 3)
    local problems = check(table.concat(rows, "\n"), read)
    assert.equal(3, #problems)
    assert.matches('spec/a_spec.lua has no it%("falls"%)', problems[1])
    assert.matches("spec/b_spec.lua", problems[2])
    assert.matches("'3' has no spec", problems[3])
  end)
end)

-- Invariant 8: who may look at the wall clock, and for what.
local WALL = {
  ["runtime/loop/loop.c"] = "reads it",
  ["runtime/console.c"] = "stamps of health pages",
  ["runtime/master.c"] = "stamps of the log, the start time of /status",
  ["runtime/services.c"] = "stamps of the log",
  ["runtime/handover.c"] = "the stamp of a snapshot",
  ["runtime/state.c"] = "how long a state lay in its file: no other clock outlives the machine",
  ["runtime/cli/top_events.c"] = "when a change was seen, for people",
  ["runtime/http/server.c"] = "the Date field",
  ["runtime/script/bind_http_cache.c"] = "dates of conditions that are compared",
  ["runtime/script/http_cache.c"] = "a response's Date, compared with when it came",
  ["runtime/script/http_fill.c"] = "the Date of what is stored without one",
  ["runtime/exports.c"] = "stamps of metrics and log records",
  ["runtime/observe/otlp_sender.c"] = "a Retry-After that is a date",
  ["runtime/observe/explain.c"] = "when a request began, for people",
  ["runtime/observe/telemetry.c"] = "stamps of spans",
  ["runtime/observe/log_access.c"] = "stamps of exemplars",
  ["runtime/script/bind_health.c"] = "stamps of health pages",
  ["runtime/script/bind_limiter.c"] = "a Retry-After that is a date",
  ["runtime/script/bind_retry.c"] = "a Retry-After that is a date",
  ["runtime/script/bind_tls.c"] = "certificates are good from a date to a date",
  ["runtime/script/bind_task.c"] = "weir.time, for stamps",
}

describe("the wall clock", function()
  it("is read for stamps and dates alone", function()
    local seen = {}
    for _, path in ipairs(tree.files "^runtime/.*%.c$") do
      if tree.code(tree.read(path)):find "wr_loop_wall%f[^%w_]" then
        seen[path] = true
        assert(WALL[path], path .. ": decisions take the monotonic clock; if this is a stamp or a "
          .. "date, say so in spec/lint/invariants_spec.lua")
      end
    end
    for path in pairs(WALL) do assert(seen[path], path .. " does not read it any more") end
  end)
end)
