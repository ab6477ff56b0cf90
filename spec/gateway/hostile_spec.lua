local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local neighbour = require "spec.support.neighbour"
local tree = require "spec.lint.tree"
local wait = require "spec.support.wait"

-- Handlers that try to take the gateway down (spec/script/hostile), served by a real one while
-- somebody else is served by the same workers. Each file says why it is hostile, and how it ends:
--
--   -- ends: ALTERNATIVE, …   a limit of limits.def; "raises WORDS", an error of its own with these
--                             words in its message; "answers", with 200
--   -- within: MS             the longest that weir may say it was inside Lua in one go
--
-- What is judged is what weir measured: `burst_ms` of its log. 60 ms are the demand for what a
-- limit ends; one that is inside a single long call of C, or of the collector with a million
-- objects before it (50 to 100 ms), has the 500 of a worker that stands still. Weir notices at a
-- tick of the kernel; one that came late is not weir's, so a burst that took longer is measured
-- again, twice at most. The heartbeat goes by the clock and is that of all specs, since they share
-- the processors; no burst may be as long as the 400 ms of a real one.
local WITHIN_MS, WITHIN_CALL_MS, TRIES = 60, 500, 3
local HEARTBEAT_MS = 400
local is_sanitized = os.getenv "WEIR_PRESET" == "asan" -- its C takes several times as long

local scripts = {}
for _, path in ipairs(tree.files "^spec/script/hostile/.*%.lua$") do
  local text = tree.read(path)
  local script = {
    name = path:match "([%w_]+)%.lua$", text = text,
    reason = text:match "^%-%-%- ([^\n]+)\n", ends = {},
    within = tonumber(text:match "\n%-%- within: (%d+)\n"),
  }
  assert(script.reason, path .. " gives no reason in its first line")
  local ends = assert(text:match "\n%-%- ends: ([^\n]+)\n", path .. " does not say how it ends")
  for word in (ends .. ", "):gmatch "(.-), " do script.ends[#script.ends + 1] = word end
  if is_sanitized then
    script.within = WITHIN_CALL_MS
    table.insert(script.ends, "script_burst") -- before the end that its own C would come to
  elseif script.within then
    script.within = math.min(script.within, HEARTBEAT_MS)
  end
  scripts[#scripts + 1] = script
end

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /small", function() return "small" end)
  local held = weir.policy("held", { weir.bulkhead { max = 4, queue = 0 }, weir.breaker {} })
  local function serve(name)
    local given = require("hostile_" .. name)
    local handler, options = given, {}
    if type(given) == "table" then handler, options = given[1], given[2] end
    options.deadline = "60s"
    weir.route("GET /" .. name, options, function(req)
      return held(function() return handler(req) end)
    end)
  end
]]

describe("hostile scripts", function()
  local g, n
  local bursts = {}

  setup(function()
    local options, main = { workers = 2, log_level = "warn" }, { MAIN }
    for _, s in ipairs(scripts) do
      options["hostile_" .. s.name .. ".lua"] = s.text
      main[#main + 1] = ("serve %q"):format(s.name)
    end
    options[1] = table.concat(main, "\n")
    g = gateway.start(options)
    g:expect "script.error"
  end)

  teardown(function()
    if n then n:kill() end
    g:stop()
  end)

  -- Somebody is served all the time, and all of it.
  before_each(function()
    if not n then n = neighbour.start(g.port, 3) end
    if not n:is_over() then return end
    local last = n
    n = neighbour.start(g.port, 3)
    last:expect_unaffected()
  end)

  -- The newest of the lines about the route, or about its children, if there are more than
  -- `count`.
  local function line_after(name, count)
    local lines = g:log("script.error", { route = "/" .. name })
    if #lines == 0 then lines = g:log("script.error", { task = "/" .. name }) end
    return #lines > count and lines[#lines], #lines
  end

  local function is_end(s, status, line)
    for _, word in ipairs(s.ends) do
      local raised = word:match "^raises (.+)$"
      if word == "answers" and status == 200 then return true end
      if raised and line and line.message:find(raised, 1, true) then return true end
      if raised == "." and line then return true end
      if line and line.burst_ms and line.message:find(word, 1, true) then return true end
    end
    return false
  end

  -- One request; returns the burst that weir told of, or 0.
  local function try(s)
    local _, before = line_after(s.name, 0)
    local r = g:get("/" .. s.name)
    local line = nil
    if r.status ~= 200 then
      assert.equal(500, r.status, r.body)
      line = wait.for_("a log line", function() return line_after(s.name, before) end)
      assert.matches("[%w_/.]+:%d+", line.message)
    end
    assert.is_true(is_end(s, r.status, line), ("status %d, %s"):format(r.status,
      line and line.message or "no log line"))
    return line and line.burst_ms or 0
  end

  for _, s in ipairs(scripts) do
    it("are withstood: " .. s.name .. ": " .. s.reason, function()
      local within, burst, pids = s.within or WITHIN_MS, nil, g:pids()
      for _ = 1, TRIES do
        burst = try(s)
        if burst <= within then break end
      end
      bursts[#bursts + 1] = ("%05.1f %s"):format(burst, s.name)
      assert.is_true(burst <= within, ("inside Lua for %g ms, of %d"):format(burst, within))
      g:wait_idle()
      assert.equal("small", g:get "/small".body)
      assert.same(pids, g:pids())
    end)
  end

  it("were sixty at least, and nobody else lost a request", function()
    assert.is_true(#scripts >= 60, #scripts)
    local r = n:expect_unaffected()
    n = nil
    table.sort(bursts)
    load.report("hostile", ("longest bursts in ms: %s; neighbour's p99 %g ms"):format(
      table.concat(bursts, ", ", math.max(1, #bursts - 4)), r.p99_ms))
    assert.equal(0, #g:log "worker.exit")
    assert.equal(0, (g:metric "weir_worker_restarts_total"))
  end)
end)
