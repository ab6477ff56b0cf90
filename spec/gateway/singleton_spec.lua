-- weir.every { singleton = true }: one worker at a time, whatever is reloaded and whoever dies.
local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local gate = weir.cache "gate"
  weir.route("POST /open", function() gate:set("open", "yes") return "opened" end)
  weir.every("$(interval)", { singleton = true, name = "tick" }, function(token)
    weir.log.info("begin", { token = token, from = weir.time() % 1e5 })
    weir.sleep "$(takes)"
    while $(held) do weir.sleep "5ms" end
    weir.log.info("end", { token = token, to = weir.time() % 1e5, version = $(version) })
  end)
  $(more)
]]

describe("a singleton", function()
  local g, began
  local version = 0

  local function files(options)
    version = version + 1
    local all = { SCRIPT, workers = 2, interval = "30ms", takes = "10ms", version = version,
      held = "false", more = "" }
    for key, value in pairs(options or {}) do all[key] = value end
    return all
  end

  local function start(options)
    began = wait.now()
    g = gateway.start(files(options))
    g:expect "worker.exit"
    g:expect "reload"
  end

  local function reload(options)
    local verdict = g:reload(files(options))
    assert.equal(200, verdict.status, verdict.message)
    g:workers_live()
  end

  after_each(function() if g then g:kill() end end)

  -- Runs in the order of their tokens: token, from, and to and version of those that ended.
  local function runs()
    local by_token = {}
    for _, line in ipairs(g:log "script.log") do
      local fields = line.fields
      local run = by_token[fields.token] or { token = fields.token }
      by_token[fields.token] = run
      if line.message == "begin" then
        assert.is_nil(run.from, "a token was given twice")
        run.from = fields.from
      else
        run.to, run.version = fields.to, fields.version
      end
    end
    local list = {}
    for _, run in pairs(by_token) do list[#list + 1] = run end
    table.sort(list, function(a, b) return a.token < b.token end)
    return list
  end

  local function lease()
    return g:status().leases[1]
  end

  local function wait_runs(count)
    return wait.for_(count .. " runs", function()
      local list = runs()
      return #list >= count and list[count].to and list
    end, 20)
  end

  -- Each worker writes its lines when it has time: the last run may have ended before another.
  local function wait_whole(count)
    return wait.for_(count .. " runs with their ends", function()
      local list = runs()
      for i = 1, count do
        if not (list[i] and list[i].to) then return nil end
      end
      return list
    end, 20)
  end

  -- No two at once, by the clock that all processes share (weir.now is that of a worker's turn);
  -- and since the start no more than intervals (seconds) have begun.
  local function check(list, interval)
    for i = 2, #list do
      local before, this = list[i - 1], list[i]
      assert.is_true(this.token > before.token)
      assert.is_true(this.from >= before.to, "two runs at once")
    end
    assert.is_true(#runs() <= (wait.now() - began) / interval + 1, "too often")
  end

  it("is run by one of the workers at a time, an interval after the last run began", function()
    start()
    local list = wait_whole(15)
    check({ unpack(list, 1, 15) }, 0.03)
    assert.equal(1, list[1].token)
    wait.for_("the last one to be counted", function() -- its line is written before its end
      return g:metric("weir_lease_runs_total", 'name="tick"', 'kind="done"') >= 15
    end)
    assert.equal(0, (g:metric("weir_lease_runs_total", 'name="tick"', 'kind="lost"')))
    g:stop()
  end)

  it("loses no run and doubles none over reloads, also those in the middle of a run", function()
    start()
    for _ = 1, 12 do reload { takes = "25ms" } end
    local last = version
    local count = #runs() + 5
    local list = wait_whole(count)
    check({ unpack(list, 1, count) }, 0.03)
    assert.equal(last, list[count].version)
    assert.equal(0, lease().lost)
    local seen = 0
    for i = 1, count do
      assert.is_true(list[i].version >= seen)
      seen = list[i].version
    end
    g:stop()
  end)

  it("ends the run that is under way on the scripts it began with, and keeps the schedule",
    function()
      start { interval = "1h", held = "not gate:get 'open'" }
      wait.for_("it to run", function() return lease().running end)
      local first = version
      reload { interval = "1h", takes = "1ms" }
      assert.is_true(lease().running)
      assert.equal("opened", g:request("POST", "/open").body)
      local list = wait_runs(1)
      assert.equal(first, list[1].version)
      wait.for_("it to end", function() return not lease().running end)
      local now = lease()
      assert.same({ 1, 0, 2 }, { now.runs, now.lost, now.waiting })
      local left = now.last_s + now.next_s
      assert.is_true(left > 3599.9 and left <= 3600, tostring(left))
      reload { interval = "1s", takes = "1ms" } -- due a second after the last began: now, or soon
      list = wait_runs(2)
      check(list, 1)
      assert.is_true(list[2].version > first)
      g:stop()
    end)

  it("goes on in another worker at once when its worker is killed", function()
    start { interval = "1h", takes = "30s" }
    for i = 1, 2 do
      wait.for_("run " .. i, function() return #runs() == i end)
      local killed = g:status().workers[lease().worker + 1].pid
      local at = socket.gettime() % 1e5
      assert.equal(0, os.execute("kill -KILL " .. killed))
      if i == 1 then
        wait.for_("the next run", function() return #runs() == 2 end)
        assert.is_true(runs()[2].from >= at)
        assert.equal(2, runs()[2].token)
      end
    end
    wait.for_("the second loss in a row to be counted", function() return lease().lost == 2 end)
    g:workers_live()
    wait.for_("both workers to wait", function() return lease().waiting == 2 end)
    assert.is_false(lease().running) -- perhaps it is what kills them: not before its time
    assert.equal(2, #runs())
    -- First the scripts, then the time: a worker that has not swapped yet may take a turn.
    reload { interval = "1h", takes = "1ms" }
    reload { interval = "10ms", takes = "1ms" }
    wait_runs(5)
    g:stop()
  end)

  it("is not stopped by what it raises, nor by a worker that dies between two runs", function()
    start { more = [[
      weir.every("5ms", { singleton = true, name = "raiser" }, function() error "in it" end)]] }
    g:expect "script.error"
    wait.for_("it to raise again and again", function() return #g:log "script.error" >= 5 end)
    for _, pid in ipairs(g:pids()) do
      local before = #runs()
      assert.equal(0, os.execute("kill -KILL " .. pid))
      wait_runs(before + 5)
      g:workers_live()
    end
    g:stop()
  end)

  it("is shown by weir status", function()
    start { interval = "1h" }
    wait_runs(1)
    wait.for_("it to end", function() return not lease().running end)
    local status = process.spawn { process.program "weir", "status", "--admin", g.admin }
    status:wait(10)
    local text = status:stdout()
    status:kill()
    assert.matches("leases", text)
    assert.matches("tick +%- +%d+s +59m %d+s +1 +0", text)
    assert.equal(0, (g:metric("weir_lease_held", 'name="tick"')))
    assert.equal(0, (g:metric("weir_lease_overdue_seconds", 'name="tick"')))
    g:stop()
  end)

  it("must have a name of its own, and is told what an option should be", function()
    start()
    for code, message in pairs {
      ['weir.every("1s", { singleton = true }, print)'] = "every: a singleton needs a name",
      ['weir.every("1s", { singelton = true }, print)'] = "did you mean 'singleton'?",
      ['weir.every("1s", { singleton = true, name = "tick" }, print)'] =
        "every: singleton 'tick' is declared twice",
      ['weir.every("1s", { name = "x" })'] = "weir.every: takes a function, not a table",
      ['weir.every({ interval = "1s" }, { name = "x" }, print)'] =
        "every: it takes an interval, a table of options and a function",
      ['weir.every("1s", "x", print)'] =
        "every: it takes an interval, a table of options and a function",
    } do
      local verdict = g:reload(files { more = code })
      assert.equal(422, verdict.status)
      assert.matches("main.lua$", verdict.file)
      assert.equal(11, verdict.line)
      assert.truthy(verdict.message:find(message, 1, true), verdict.message)
    end
    g:stop()
  end)
end)
