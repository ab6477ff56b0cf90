--- `weir upgrade`: another program takes over the process, with what it knows; or nothing changes.
local binary = require "spec.support.binary"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local broken = weir.policy("broken", { weir.breaker {
    consecutive = 3, open = "10m", jitter = 0 } })
  weir.route("GET /broken", function() return broken(function() return nil, weir.error("connect",
    "down") end) end)
  local limit = weir.policy("limit", { weir.limiter { rate = "10/h", burst = 10,
    key = "header:X-Tenant" } })
  weir.route("GET /limited", function() return limit(function() return "ok" end) end)
  local cache = weir.cache("kept", { ttl = "1h" })
  weir.route("PUT /kept", function(req) cache:set("k", req:text()); return "ok" end)
  weir.route("GET /kept", function(req) return cache:get "k" or weir.response(404) end)
  local seen = weir.metrics.counter("spec_seen_total", "Requests")
  weir.route("GET /seen", function() seen:inc(); return "seen" end)
  weir.route("GET /slow", { deadline = "60s" }, function() weir.sleep "2s"; return "slow" end)
  weir.route("GET /never", { deadline = "60s" }, function() weir.sleep "50s"; return "never" end)
  weir.every("20ms", function() weir.log.info "job" end)
]]

describe("an upgrade", function()
  local path, g
  before_each(function() path = binary.new() end)
  after_each(function()
    if g then g:kill() end
    g = nil
    binary.remove(path)
  end)

  local function start(more)
    local options = { SCRIPT, program = path, workers = 2 }
    for key, value in pairs(more or {}) do options[key] = value end
    g = gateway.start(options)
    for _, event in ipairs { "breaker.transition", "upgrade", "upgrade.refused" } do
      g:expect(event)
    end
    return g
  end

  local function cli(...)
    local p = process.spawn { process.program "weir", ... }
    p:wait(60)
    local code, out, err = p.code, p:stdout(), p:stderr()
    p:kill()
    return code, out, err
  end

  local function upgraded()
    local verdict = g:upgrade()
    assert.equal(200, verdict.status, verdict.message)
    return verdict
  end

  -- What a state holds that the next program must have, too.
  local function live()
    for _ = 1, 3 do g:get "/broken" end
    for _ = 1, 10 do g:get("/limited", { ["X-Tenant"] = "a" }) end
    g:request("PUT", "/kept", {}, "value")
    for _ = 1, 5 do g:get "/seen" end
  end

  it("has other workers in the same process, and all that it knew", function()
    start()
    live()
    local before, pids = g:status(), g:pids()
    local breaker = g:breaker "broken"
    local code, out = cli("upgrade", "--admin", g.admin)
    assert.equal(0, code)
    assert.matches("^weir %S+ serves with 2 workers, generation 2, all state handed over", out)
    local after = g:status()
    assert.equal(before.pid, after.pid)
    assert.is_true(after.ready)
    assert.equal(before.generation.hash, after.generation.hash)
    for i, w in ipairs(after.workers) do assert.are_not.equal(pids[i], w.pid) end
    assert.is_true(after.uptime_s >= before.uptime_s)
    local still = g:breaker "broken"
    assert.equal("open", still.state)
    local passed = still.since_s - breaker.since_s
    assert.is_true(math.abs(breaker.retry_after_s - still.retry_after_s - passed) < 0.01)
    assert.equal(503, g:get "/broken".status)
    assert.equal(429, g:get("/limited", { ["X-Tenant"] = "a" }).status)
    assert.equal("value", g:get "/kept".body)
    g:get "/seen"
    assert.equal(6, (g:metric "spec_seen_total"))
    assert.equal(1, (g:metric("weir_upgrades_total", 'result="upgraded"')))
    g:wait_upgraded()
    g:stop()
  end)

  it("goes on and on, by signal too", function()
    start()
    for i = 1, 4 do
      if i % 2 == 0 then
        g.process:signal "USR2"
        wait.for_("upgrade " .. i, function() return g:status().upgrades.done == i end)
      else
        assert.equal("arena", upgraded().state)
      end
      assert.equal("seen", g:get "/seen".body)
      g:wait_upgraded()
    end
    assert.equal(4, (g:metric "spec_seen_total"))
    local changed = g:reload { SCRIPT
      .. "\n  weir.route('GET /more', function() return 'more' end)" }
    assert.same({ "live", true, 6 }, { changed.result, changed.changed, changed.generation })
    assert.equal("more", g:get "/more".body)
    -- What was live before can be gone back to, whichever program read it.
    upgraded()
    g:wait_upgraded()
    assert.equal(200, g:ask("POST", "/generations/rollback").status)
    assert.equal(404, g:get "/more".status)
    assert.equal("seen", g:get "/seen".body)
    g:stop()
  end)

  it("takes state along as a snapshot when the arena has another layout, and back", function()
    start()
    g:expect "state.converted"
    live()
    local breaker = g:breaker "broken"
    for i, name in ipairs { "weir_ahead", "weir" } do
      binary.put(path, binary.of(name))
      assert.equal("snapshot", upgraded().state)
      assert.matches("its layout is", g:log("state.converted")[i].message)
      local still = g:breaker "broken"
      assert.equal("open", still.state)
      local passed = still.since_s - breaker.since_s
      assert.is_true(math.abs(breaker.retry_after_s - still.retry_after_s - passed) < 1)
      assert.equal(429, g:get("/limited", { ["X-Tenant"] = "a" }).status)
      assert.equal(404, g:get "/kept".status) -- caches are not in it
      g:wait_upgraded()
    end
    assert.equal("arena", upgraded().state)
    g:wait_upgraded()
    g:stop()
  end)

  -- What is not a weir that can serve this

  local function patched()
    -- A weir whose library knows another word for an option.
    local file = assert(io.open(binary.of "weir", "rb"))
    local text = file:read "*a"
    file:close()
    local name = os.tmpname()
    file = assert(io.open(name, "wb"))
    file:write((text:gsub("consecutive", "konsekutive")))
    file:close()
    binary.put(path, name)
    os.remove(name)
  end

  for name, case in pairs {
    ["ends at once"] = { put = "exit 3", why = "ended with code 3" },
    ["ends well, but did not serve"] = { put = "exit 0", why = "ended with code 0" },
    ["says why"] = { put = "echo no such library >&2; exit 127",
      why = "code 127: no such library" },
    ["crashes"] = { put = "kill -SEGV $$", why = "ended with Segmentation fault" },
    ["is no program"] = { file = "/etc/passwd", why = "Exec format error" },
    ["is not there"] = { gone = true, why = "No such file or directory" },
    ["talks without end"] = { put = "head -c 50000 /dev/zero | tr '\\0' x >&2; exit 1",
      why = "ended with code 1: x" },
    ["does not load the policy"] = { patch = true, why = "main.lua:3: breaker: unknown option "
      .. "'consecutive'" },
  } do
    it("to a program that " .. name .. " changes nothing, and the next one works", function()
      start()
      live()
      local pids, pid = g:pids(), g:status().pid
      if case.put then binary.script(path, case.put) end
      if case.file then binary.put(path, case.file) end
      if case.gone then os.remove(path) end
      if case.patch then patched() end
      local code, _, err = cli("upgrade", "--admin", g.admin)
      assert.equal(1, code)
      assert.is_truthy(err:find(case.why, 1, true), err)
      assert.matches("^weir upgrade: nothing has changed: " .. path, err)
      assert.same({ pid, pids }, { g:status().pid, g:pids() })
      assert.equal("open", g:breaker "broken".state)
      assert.equal("value", g:get "/kept".body)
      local told = g:status().upgrades
      assert.same({ "none", 0, 1 }, { told.stage, told.done, told.failed })
      assert.is_truthy(told.message:find(case.why, 1, true))
      binary.put(path, binary.of "weir")
      upgraded()
      g:wait_upgraded()
      g:stop()
    end)
  end

  it("to a program that is not ready in time changes nothing", function()
    start()
    local pids = g:pids()
    binary.script(path, "exec sleep 1000")
    local r = g:request("GET", "/seen")
    assert.equal(200, r.status)
    local p = process.spawn { process.program "weir", "upgrade", "--admin", g.admin }
    wait.for_("the rehearsal", function() return g:status().upgrades.stage == "rehearsal" end)
    -- Meanwhile: a reload and another upgrade are told, and requests are served.
    local verdict = g:reload()
    assert.same({ 409, "an upgrade is under way: ask again when it is over" },
      { verdict.status, verdict.message })
    local other = g:upgrade()
    assert.same({ 409, "another upgrade is under way" }, { other.status, other.message })
    assert.equal("seen", g:get "/seen".body)
    p:wait(40)
    assert.equal(1, p.code)
    assert.matches("was not ready in time", p:stderr())
    p:kill()
    assert.same(pids, g:pids())
    g:expect "reload"
    g:stop()
  end)

  -- A program that is well when it is tried; afterwards it can start no process, or crashes with
  -- `signal`, or hangs (SIGALRM), where it would start number `at`.
  local function put_failing(signal, at, program)
    binary.script(path, ([[
if [ -e %s.tried ]; then
  export LD_PRELOAD=%s ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0
  export SPEC_CRASH=%d SPEC_CRASH_AT=%d
fi
touch %s.tried
exec %s "$@"]]):format(path, binary.of "libno_fork.so", signal or 0, at or 0, path,
      binary.of(program or "weir")))
  end

  for name, case in pairs {
    ["fails once it has taken over"] = { why = "no process for the trial", logged = true },
    ["crashes once it has taken over"] = { 11, 1, why = "crashed once it had taken over: "
      .. "Segmentation fault" },
    ["crashes with an arena of another layout"] = { 11, 2, program = "weir_ahead",
      why = "crashed once it had taken over: Segmentation fault" },
    ["hangs with a worker already there"] = { 14, 3, why = "hung once it had taken over: it was "
      .. "not ready after 40 s" },
    ["aborts with a worker already there"] = { 6, 3, why = "crashed once it had taken over: "
      .. "Aborted" },
  } do
    it("is given back when the new program " .. name, function()
      start()
      live()
      local pids, pid = g:pids(), g:status().pid
      put_failing(case[1], case[2], case.program)
      local verdict = g:upgrade()
      assert.same({ 422, "failed" }, { verdict.status, verdict.result })
      assert.matches(case.why, verdict.message)
      if case.program then g:expect "state.converted" end
      if case.logged then
        g:expect "upgrade.back"
        g:expect "reload"
      end
      assert.same({ pid, pids }, { g:status().pid, g:pids() })
      assert.equal("open", g:breaker "broken".state)
      assert.equal("value", g:get "/kept".body)
      g:get "/seen"
      assert.equal(6, (g:metric "spec_seen_total"))
      binary.put(path, binary.of "weir")
      upgraded()
      g:wait_upgraded()
      -- Who dies is replaced as ever.
      g:expect "worker.exit"
      local victim = g:pids()[1]
      os.execute("kill -KILL " .. victim)
      wait.for_("a successor", function()
        local now = g:pids()[1]
        return now ~= 0 and now ~= victim
      end)
      g:workers_live()
      g:stop()
    end)
  end

  it("is refused while a reload is under way or the last one's workers finish", function()
    start { drain = "30s" }
    local slow = g:begin("GET", "/slow")
    wait.for_("it to be under way", function()
      return g:metric "http_server_active_requests" == 1 end)
    upgraded()
    assert.equal("draining", g:status().upgrades.stage)
    wait.for_("the idle one to be gone", function() return g:status().upgrades.leaving == 1 end)
    local verdict = g:upgrade()
    assert.equal(409, verdict.status)
    assert.matches("still finish what they have", verdict.message)
    assert.equal("live", g:reload { SCRIPT .. "\n  -- changed" }.result)
    local r = slow:response()
    assert.same({ 200, "slow", "close" }, { r.status, r.body, r.headers.connection })
    g:wait_upgraded()
    g:stop()
  end)

  it("waits for what is under way no longer than --drain", function()
    start { drain = "300ms" }
    local c = g:begin("GET", "/never")
    wait.for_("it to be under way", function()
      return g:metric "http_server_active_requests" == 1 end)
    upgraded()
    g:wait_upgraded()
    local _, how = c:read_all()
    assert.is_truthy(how == "closed" or how == "reset", how)
    g:stop()
  end)

  it("loses no request of a client that is connected and silent", function()
    start()
    local idle, fresh = g:connect(), g:connect()
    idle:send(gateway.head("GET", "/seen"))
    assert.equal("keep-alive", idle:response().headers.connection or "keep-alive")
    upgraded()
    for _, c in ipairs { idle, fresh } do
      -- The old worker may not have heard yet: then it answers once more.
      wait.for_("the last answer", function()
        c:send(gateway.head("GET", "/seen"))
        local r = c:response()
        assert.same({ 200, "seen" }, { r.status, r.body })
        return r.headers.connection == "close"
      end)
      assert.same({ "", "closed" }, { c:read_all() })
    end
    g:wait_upgraded()
    g:stop()
  end)

  it("has its jobs run in the new workers alone", function()
    start()
    local slow = g:begin("GET", "/never")
    wait.for_("it to be under way", function()
      return g:metric "http_server_active_requests" == 1 end)
    upgraded()
    local function wait_jobs(count)
      return wait.for_(count .. " jobs", function()
        local jobs = g:log("script.log", { message = "job" })
        return #jobs >= count and jobs
      end)
    end
    local first = #wait_jobs(#g:log("script.log", { message = "job" }) + 10)
    local jobs = wait_jobs(first + 10)
    for i = first + 1, #jobs do assert.is_true(jobs[i].worker >= 2, jobs[i].worker) end
    slow:close()
    g:wait_upgraded()
    g:stop()
  end)

  it("ends like any weir while old workers finish", function()
    start { drain = "30s" }
    local slow = g:begin("GET", "/slow")
    wait.for_("it to be under way", function()
      return g:metric "http_server_active_requests" == 1 end)
    upgraded()
    g.process:signal "TERM"
    assert.equal("slow", slow:response().body)
    g:stop()
  end)

  it("writes its state when it stops, and reads none in between", function()
    local state = os.tmpname()
    os.remove(state)
    start { state = state }
    live()
    upgraded()
    g:wait_upgraded()
    assert.is_nil(io.open(state))
    g:stop()
    local file = assert(io.open(state))
    local doc = json.decode(file:read "*a")
    file:close()
    os.remove(state)
    local states = {}
    for _, p in ipairs(doc.primitives) do states[p.name] = p.state end
    assert.equal("open", states.broken)
  end)
end)
