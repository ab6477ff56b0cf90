local gateway = require "spec.support.gateway"
local wait = require "spec.support.wait"

-- What a request may take of its worker (runtime/tables/limits.def, script_*). Bounds are judged by
-- what weir measured: `burst_ms` and `lua_ms` of its log are processor time.
describe("a request that takes too much", function()
  local g

  setup(function()
    g = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local function work() for _ = 1, 5e5 do end end
      local function slices(n)
        for _ = 1, n do work() weir.sleep "1ms" end
        return "done"
      end
      local guarded = weir.policy("guarded", {
        weir.breaker { consecutive = 1, open = "10ms", open_max = "10ms", jitter = 0, probes = 1 },
        weir.bulkhead { max = 1, queue = 0 },
        weir.limiter { rate = "1000/s" },
      })
      local modes = {
        fails = function() return nil, weir.error("connect", "on purpose") end,
        spins = function() while true do end end,
        works = function() return "works" end,
      }

      weir.route("GET /burst", function()
        local function spin() while true do end end
        spin()
        return ""
      end)
      weir.route("GET /waits", { deadline = "60s" }, function()
        for _ = 1, 1000 do weir.sleep "1ms" end
        return "done"
      end)
      weir.route("GET /slices", { deadline = "60s" }, function() return slices(1e9) end)
      weir.route("GET /few", { deadline = "60s" }, function() return slices(10) end)
      weir.route("GET /children", { deadline = "60s" }, function()
        local function child() return slices(1e9) end
        return weir.all { child, child, child }
      end)
      weir.route("GET /own", { deadline = "60s", on_error = function(_, err)
        return slices(10) .. ": " .. err.message
      end }, function() return slices(1e9) end)
      weir.route("GET /hoard", { deadline = "60s" }, function()
        local t = {}
        while true do
          for _ = 1, 10 do t[#t + 1] = ("x"):rep(1e4) .. #t end
          weir.sleep "1ms"
        end
      end)
      weir.route("GET /drop", { deadline = "60s" }, function()
        for i = 1, 600 do
          for j = 1, 10 do local s = ("x"):rep(1e4) .. i .. j end -- luacheck: ignore
          weir.sleep "1ms"
        end
        return "done"
      end)
      weir.route("GET /race", function()
        return weir.race {
          function() while true do end end,
          function() weir.sleep "1ms" return "other" end,
        }
      end)
      weir.route("GET /nested", function()
        local deepest = 0
        local function down(n)
          deepest = math.max(deepest, n)
          return weir.all { function() return down(n + 1) end }
        end
        local _, err = down(0)
        return ("%d %s"):format(deepest, err.message)
      end)
      weir.route("GET /chain", function()
        local function link() weir.spawn(link) end
        link()
        return "begun"
      end)
      weir.route("GET /guarded/:mode", function(req)
        return guarded(modes[req.params.mode])
      end)
    ]] }
    g:expect "script.error"
    g:expect "breaker.transition"
  end)

  teardown(function() g:stop() end)

  -- The log line of the request that has just been answered; of a child, with `what` "task".
  local function line_of(path, what)
    local fields = { [what or "route"] = path }
    local before = #g:log("script.error", fields)
    assert.equal(500, g:get(path).status)
    return wait.for_("a log line", function() return g:log("script.error", fields)[before + 1] end)
  end

  it("ends after 50 ms of processor time in one go, with place, traceback and figures", function()
    local before = g:metric("weir_limits_reached_total", "script_burst")
    local line = line_of "/burst"
    local message = "^main.lua:%d+: ran longer than script_burst allows %(50ms%) without waiting$"
    assert.matches(message, line.message)
    assert.matches("main.lua:%d+: in spin\nmain.lua:%d+: in ", line.traceback)
    assert.is_true(line.burst_ms >= 50 - 4, line.burst_ms) -- a tick of the watchdog
    assert.equal(1, line.generation)
    assert.equal(before + 1, g:metric("weir_limits_reached_total", "script_burst"))
  end)

  it("may wait for as long as its deadline allows", function()
    assert.equal("done", g:get "/waits".body)
  end)

  it("ends after 500 ms of processor time in many bursts, its children's included", function()
    local line = line_of "/slices"
    assert.matches("ran longer than script_budget allows %(500ms%)", line.message)
    assert.is_true(line.lua_ms >= 500, line.lua_ms)
    assert.matches("ran longer than script_budget", line_of("/children", "task").message)
    assert.is_true(g:metric("weir_limits_reached_total", "script_budget") >= 2)
    assert.equal("done", g:get "/few".body)
  end)

  it("leaves a budget to its route's on_error", function()
    assert.equal("done: ran longer than script_budget allows (500ms)", g:get "/own".body)
  end)

  it("ends when it hoards more than 24 MiB, however slowly", function()
    local line = line_of "/hoard"
    assert.matches("added more memory than script_growth allows %(25165824 bytes%)", line.message)
    assert.matches("^main.lua:%d+: ", line.message)
    assert.is_true(g:metric("weir_limits_reached_total", "script_growth") >= 1)
  end)

  it("may drop as much as it likes", function()
    assert.equal("done", g:get "/drop".body)
  end)

  it("is told of in the log when only a child of it took too much", function()
    assert.equal("other", g:get "/race".body)
    local line = g:wait_log("script.error", { task = "/race" })
    assert.matches("script_burst", line.message)
  end)

  it("nests children 64 deep, and no deeper", function()
    assert.matches("^64 tasks are nested deeper than 64 levels", g:get "/nested".body)
  end)

  it("lets the loop turn between links of a chain of tasks without end", function()
    local pid = g:pids()[1]
    assert.equal("begun", g:get "/chain".body)
    for _ = 1, 20 do assert.equal("done", g:get "/few".body) end
    assert.equal(pid, g:pids()[1])
  end)

  it("gives back the probe, the slot and the permit that it held", function()
    local before = g:status().workers[1].pid
    for round = 1, 3 do
      assert.equal("works", wait.for_("a closed breaker", function()
        local body = g:get "/guarded/works".body
        return body == "works" and body
      end))
      assert.equal(502, g:get "/guarded/fails".status)
      wait.for_("the probe to spin", function() return g:get "/guarded/spins".status == 500 end)
      g:wait_idle()
      wait.for_("its log line", function()
        return #g:log("script.error", { route = "/guarded/:mode" }) == round
      end)
    end
    assert.equal(before, g:status().workers[1].pid)
  end)
end)
