local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function script(body, extra)
  return ([[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    weir.route("GET /", function() return "%s" end)
    weir.route("GET /busy", function() while true do end end)
    %s
  ]]):format(body, extra or "")
end

describe("a worker that dies inside a script", function()
  local g

  local function start(options)
    options[1] = script "first"
    g = gateway.start(options)
    for _, event in ipairs { "worker.exit", "worker.stuck", "script.error", "policy.strike",
      "policy.quarantine", "reload" } do g:expect(event) end
  end

  after_each(function() g:kill() end)

  -- Keeps the only worker busy until it stands still inside of a script; returns its row of
  -- /status.
  local function stop_inside(id)
    local clients = {}
    local row = wait.for_("the worker to be stopped inside a script", function()
      for i = 1, 4 do clients[#clients + i] = g:begin("GET", "/busy", { ["X-Request-ID"] = id }) end
      local pid = g:pids()[1]
      if pid == 0 then return false end
      os.execute("kill -STOP " .. pid)
      local worker = g:status().workers[1]
      if worker.pid == pid and worker.script > 0 then return worker end
      os.execute("kill -CONT " .. pid)
      return false
    end)
    for _, c in ipairs(clients) do c:close() end
    return row
  end

  local function crash_inside(id)
    local row = stop_inside(id)
    os.execute(("kill -ABRT %d; kill -CONT %d"):format(row.pid, row.pid))
    wait.for_("a successor", function()
      local pid = g:status().workers[1].pid
      return pid ~= 0 and pid ~= row.pid
    end)
    g:workers_live()
    return row
  end

  local function strike_out()
    for _ = 1, 3 do crash_inside "strike" end
    return wait.for_("a quarantine", function() return g:status().quarantined[1] end)
  end

  it("is a strike, with request, route and generation", function()
    start { workers = 1 }
    local row = crash_inside "the-one"
    assert.equal("/busy", row.route)
    assert.equal("the-one", row.request)
    for _, event in ipairs { "worker.exit", "policy.strike" } do
      local line = g:wait_log(event)
      assert.equal("/busy", line.route)
      assert.equal("the-one", line.request)
      assert.equal(1, line.generation)
    end
    assert.equal("signal", g:log("policy.strike")[1].cause)
    assert.equal(1, g:status().generation.strikes)
    assert.equal(1, g:metric("weir_policy_strikes_total", "signal"))
    g:stop()
  end)

  it("is none when it died outside of all scripts", function()
    start { workers = 1 }
    local pid = g:pids()[1]
    os.execute("kill -ABRT " .. pid)
    local line = g:wait_log "worker.replaced"
    assert.are_not.equal(pid, line.pid)
    assert.equal(0, #g:log "policy.strike")
    assert.is_nil(g:log("worker.exit")[1].route)
    g:stop()
  end)

  it("is ended when its heart stops, said what of, and replaced within 100 ms", function()
    start { workers = 1, heartbeat = "400ms" }
    local row = stop_inside "stuck-one"
    local line = g:wait_log("worker.stuck", { pid = row.pid })
    assert.is_true(line.silent_ms >= 400, line.silent_ms)
    assert.equal("stuck-one", line.request)
    assert.equal("/busy", line.route)
    assert.equal(1, line.generation)
    assert.equal("stuck", g:wait_log("policy.strike", { request = "stuck-one" }).cause)
    local successor = g:wait_log "worker.replaced"
    assert.is_true(successor.forked_after_ms <= 100, successor.forked_after_ms)
    g:stop()
  end)

  it("has its generation quarantined the third time, and the last good one comes back", function()
    start { workers = 1 }
    local good = g:status().generation.hash
    local bad = script "second"
    assert.equal("live", g:reload({ bad }).result)
    local row = strike_out()
    assert.equal(2, row.number)
    assert.matches("^signal at /busy, request strike$", row.why)
    local generation = wait.for_("the first bundle to be back", function()
      local live = g:status().generation
      return live.hash == good and live
    end)
    assert.equal(1, generation.number)
    assert.equal(0, generation.strikes)
    g:workers_live()
    assert.equal("first", g:get "/".body)
    assert.equal(1, (g:metric "weir_policy_quarantines_total"))

    local verdict = g:reload()
    assert.equal(422, verdict.status)
    assert.equal("quarantine", verdict.stage)
    assert.matches("quarantined .* ago, as generation 2, for its 3 strikes in 60 s",
      verdict.message)
    assert.equal("first", g:get "/".body)
    -- Something else is nobody's fault.
    assert.equal("live", g:reload({ script("second", "-- changed") }).result)
    assert.equal("second", g:get "/".body)

    g:write { bad }
    local p = process.spawn { process.program "weir", "reload", "--admin", g.admin, "--force" }
    assert.equal(0, p:wait(), p:stderr())
    p:kill()
    assert.equal(0, #g:status().quarantined)
    assert.equal("second", g:get "/".body)
    g:stop()
  end)

  it("stays with its generation when there is none to go back to, and says so", function()
    start { workers = 1 }
    strike_out()
    g:wait_log("policy.quarantine", { message = "generation 1 stays: there is none to go back to" })
    g:workers_live()
    assert.equal("first", g:get "/".body)
    assert.is_true(g:status().generation.quarantined)
    local p = process.spawn { process.program "weir", "status", "--admin", g.admin }
    assert.equal(0, p:wait())
    assert.matches("live for %d+s  3 strikes  quarantined", p:stdout())
    assert.matches("signal at /busy, request strike", p:stdout())
    p:kill()
    assert.equal("live", g:reload({ script "mended" }).result)
    assert.is_false(g:status().generation.quarantined)
    g:stop()
  end)

  it("does not die of many tasks in one turn of the loop that are ended one by one", function()
    start { workers = 1, heartbeat = "400ms" }
    local pid = g:pids()[1]
    os.execute("kill -STOP " .. pid)
    local clients = {}
    for i = 1, 20 do clients[i] = g:begin("GET", "/busy") end
    os.execute("kill -CONT " .. pid)
    for i = 1, 20 do
      assert.equal(500, clients[i]:response().status)
      clients[i]:close()
    end
    assert.equal(pid, g:pids()[1])
    g:stop()
  end)
end)
