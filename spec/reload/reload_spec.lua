local gateway = require "spec.support.gateway"
local json = require "cjson"
local ports = require "spec.support.ports"
local raw = require "spec.support.raw"
local socket = require "socket"
local wait = require "spec.support.wait"

-- What a spec adds stands in line 8.
local function script(body, extra)
  return ([[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    weir.route("GET /", function(req) return "%s" end)
    weir.route("GET /slow", { deadline = "60s" }, function(req)
      weir.sleep "300ms"
      return "%s"
    end)
    %s
  ]]):format(body, body, extra or "")
end

local RELOAD = "POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"

describe("a reload", function()
  local g
  local count = 0

  setup(function()
    g = gateway.start { workers = 3, script "first" }
    g:expect "reload"
    g:expect "script.error"
  end)

  teardown(function() g:stop() end)

  -- A script nobody has loaded yet: the same content would change nothing.
  local function fresh(extra)
    count = count + 1
    return "v" .. count, script("v" .. count, extra)
  end

  local function serve(body)
    for _ = 1, 12 do assert.equal(body, g:get "/".body) end
  end

  local function good(extra)
    local body, text = fresh(extra)
    local verdict = g:reload { text }
    assert.equal(200, verdict.status, json.encode(verdict))
    assert.equal("live", verdict.result)
    assert.is_true(verdict.changed)
    serve(body)
    return body, verdict
  end

  it("serves the new scripts in every worker as soon as it is answered", function()
    good()
    good()
  end)

  it("is a no-op when no file has changed", function()
    local body = good()
    local before = g:status().generation.number
    local verdict = g:reload()
    assert.equal(200, verdict.status)
    assert.is_false(verdict.changed)
    assert.equal(before, g:status().generation.number)
    serve(body)
  end)

  it("lets requests finish on the scripts they began with", function()
    local old = good()
    local c = g:begin("GET", "/slow")
    wait.for_("the request to be active", function()
      return g:metric("http_server_active_requests") == 1 end)
    local new = good()
    assert.are_not.equal(old, new)
    assert.equal(old, c:response().body)
    c:send(gateway.head("GET", "/"))
    assert.equal(new, c:response().body)
    c:close()
  end)

  it("keeps connections open", function()
    local c = g:connect()
    for _ = 1, 5 do
      local body = good()
      c:send(gateway.head("GET", "/"))
      assert.equal(body, c:response().body)
    end
    c:close()
  end)

  local FAILURES = {
    { "a syntax error", "local x = = 1", stage = "load", file = "main.lua", line = true },
    { "an error that is raised", "error 'not today'", stage = "load", file = "main.lua",
      line = true, says = "not today" },
    { "a nil that is called", "local t = {} t.x.y = 1", stage = "load", file = "main.lua",
      line = true },
    { "an endless loop", "while true do end", stage = "load", file = "main.lua", line = true },
    { "an endless loop in pcall", "while true do pcall(function() while true do end end) end",
      stage = "load" },
    { "endless recursion", "local function f() return f() + 1 end f()", stage = "load",
      file = "main.lua" },
    { "a memory bomb of tables", "local t = {} while true do t[#t + 1] = { {}, {}, {} } end",
      stage = "load" },
    { "a memory bomb of strings", "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end",
      stage = "load" },
    { "one enormous string", "local s = ('x'):rep(1e9)", stage = "load" },
    { "a route that is there already", "weir.route('GET /', function() end)", stage = "routes",
      file = "main.lua", line = true },
    { "a pattern that is none", "weir.route('GET x', function() end)", file = "main.lua",
      line = true },
    { "an unknown option",
      "weir.upstream('u', { endpoints = { 'http://127.0.0.1:1' }, tiemout = 1 })",
      stage = "load", file = "main.lua", line = true, says = "tiemout" },
    { "a value out of bounds", "weir.policy('p', { weir.retry { max = 1000 } })", stage = "load",
      file = "main.lua", line = true, says = "max" },
    { "a missing module", "require 'no.such.module'", stage = "load", file = "main.lua",
      line = true, says = "no.such.module" },
    { "a ratio above 1", "weir.policy('p', { weir.breaker { failure_rate = 2 } })", stage = "load",
      says = "failure_rate" },
    { "an address that is none", "weir.listen 'example.com:http'", stage = "load",
      file = "main.lua", line = true },
    { "an address that is not ours", "weir.listen '192.0.2.1:8080'", stage = "listen",
      says = "192.0.2.1:8080" },
    { "waiting at load", "weir.sleep '1s'", stage = "load", file = "main.lua", line = true },
    { "calling out at load", "weir.http.get 'http://127.0.0.1:1/'", stage = "load",
      file = "main.lua", line = true },
    { "something outside of the sandbox", "io.open('/etc/passwd')", stage = "load",
      file = "main.lua", line = true },
  }

  for _, case in ipairs(FAILURES) do
    it("changes nothing on " .. case[1] .. ", says where, and the next one works", function()
      local body = good()
      local before = g:status()
      local _, text = fresh(case[2])
      local verdict = g:reload { text }
      assert.equal(422, verdict.status, json.encode(verdict))
      assert.equal("failed", verdict.result)
      if case.stage then assert.equal(case.stage, verdict.stage, json.encode(verdict)) end
      if case.file then assert.equal(g.folder .. "/" .. case.file, verdict.file,
        json.encode(verdict)) end
      if case.line then assert.equal(8, verdict.line, json.encode(verdict)) end
      if case.says then assert.is_truthy(verdict.message:find(case.says, 1, true),
        verdict.message) end
      assert.is_true(#verdict.message > 0)
      local after = g:status()
      assert.equal(before.generation.number, after.generation.number)
      assert.equal(before.reloads.failed + 1, after.reloads.failed)
      assert.same(before.listeners, after.listeners)
      assert.equal("failed", after.last_reload.result)
      serve(body)
      good()
      assert.equal("live", g:status().last_reload.result)
    end)
  end

  it("changes nothing when its trial process is killed", function()
    local body = good()
    local _, text = fresh "while true do end"
    g:write { text }
    local c = raw.connect(g.admin_port)
    c:send(RELOAD)
    local workers = {}
    for _, pid in ipairs(g:pids()) do workers[tostring(pid)] = true end
    local trial = wait.for_("the trial process", function()
      local file = io.open(("/proc/%d/task/%d/children"):format(g.process.pid, g.process.pid))
      local found
      for pid in file:read("*a"):gmatch "%d+" do if not workers[pid] then found = pid end end
      file:close()
      return found
    end)
    os.execute("kill -ABRT " .. trial)
    local r = c:response()
    c:close()
    assert.equal(422, r.status)
    assert.equal("crash", json.decode(r.body).stage)
    serve(body)
    good()
  end)

  it("says which module is at fault", function()
    local _, text = fresh "require 'lib.broken'"
    assert(os.execute("mkdir -p " .. g.folder .. "/lib") == 0)
    local verdict = g:reload { text, ["lib/broken.lua"] = "local a = 1\nlocal b = = 2\n" }
    assert.equal(422, verdict.status)
    assert.equal(g.folder .. "/lib/broken.lua", verdict.file)
    assert.equal(2, verdict.line)
  end)

  it("sees a change in a module alone", function()
    local _, text = fresh([[local said = require "lib.said"
      weir.route("GET /module", function() return said end)]])
    assert.equal(200, g:reload { text, ["lib/said.lua"] = "return 'one'" }.status)
    assert.equal("one", g:get "/module".body)
    assert.is_true(g:reload { ["lib/said.lua"] = "return 'two'" }.changed)
    assert.equal("two", g:get "/module".body)
  end)

  it("fails when the main script is gone, and works when it is back", function()
    local body, text = fresh()
    os.remove(g.path)
    local verdict = g:reload()
    assert.equal(422, verdict.status)
    assert.equal("read", verdict.stage)
    g:reload { text }
    serve(body)
  end)

  it("is asked for with SIGHUP too", function()
    local body, text = fresh()
    g:write { text }
    g.process:signal "HUP"
    wait.for_("the new scripts to serve", function() return g:get "/".body == body end)
    g:workers_live()
  end)

  it("adds a listener, keeps its connections, and removes it again", function()
    local extra = ports.free()
    local body = good(("weir.listen '127.0.0.1:%d'"):format(extra))
    for _ = 1, 12 do
      assert.equal(body, raw.once(extra, gateway.head("GET", "/", { Connection = "close" })).body)
    end
    assert.equal(2, #g:status().listeners)
    local c = raw.connect(extra)
    c:send(gateway.head("GET", "/"))
    assert.equal(body, c:response().body)
    body = good()
    assert.equal(1, #g:status().listeners)
    c:send(gateway.head("GET", "/"))
    assert.equal(body, c:response().body)
    c:close()
    wait.for_("the listener to be closed", function()
      local probe = socket.tcp4()
      local ok, why = probe:connect("127.0.0.1", extra)
      probe:close()
      return not ok and why == "connection refused", why
    end)
  end)

  it("changes nothing when a port is busy, and works when it is free", function()
    local other = assert(socket.bind("127.0.0.1", 0))
    local _, port = other:getsockname()
    local body = good()
    local _, text = fresh(("weir.listen '127.0.0.1:%d'"):format(port))
    local verdict = g:reload { text }
    assert.equal(422, verdict.status)
    assert.equal("listen", verdict.stage)
    assert.is_truthy(verdict.message:find(tostring(port)))
    serve(body)
    other:close()
    assert.equal(200, g:reload { text }.status)
    good()
  end)

  it("gives each of many callers a verdict", function()
    local body, text = fresh()
    g:write { text }
    local before = g:status().reloads
    local callers = {}
    for i = 1, 20 do
      callers[i] = raw.connect(g.admin_port)
      callers[i]:send(RELOAD)
    end
    for i = 1, 20 do
      local r = callers[i]:response()
      assert.equal(200, r.status)
      assert.equal("live", json.decode(r.body).result)
      callers[i]:close()
    end
    serve(body)
    -- Few loads served them all: each was one, or joined one that waited.
    local after = g:status().reloads
    local loads, joined = after.live - before.live, after.joined - before.joined
    assert.equal(20, loads + joined)
    assert.is_true(loads < 20, loads)
    assert.equal(after.joined, (g:metric("weir_policy_reloads_total", 'result="joined"')))
  end)

  it("goes on when its caller leaves", function()
    local body, text = fresh()
    g:write { text }
    local c = raw.connect(g.admin_port)
    c:send(RELOAD)
    c:close()
    wait.for_("the new scripts to serve", function() return g:get "/".body == body end)
    g:workers_live()
  end)

  it("survives workers that die while it is under way", function()
    g:expect "worker.exit"
    for i = 1, 12 do
      local body, text = fresh()
      g:write { text }
      local victim = g:pids()[i % 3 + 1]
      local c = raw.connect(g.admin_port)
      c:send(RELOAD)
      wait.pause(i * 7 % 90)
      os.execute("kill -9 " .. victim)
      local r = c:response()
      c:close()
      assert.equal(200, r.status, r.body)
      wait.for_("a successor", function()
        for _, pid in ipairs(g:pids()) do if pid == victim then return false end end
        return true
      end)
      g:workers_live()
      serve(body)
    end
  end)

  it("retires what nobody needs: descriptors stay flat", function()
    for _ = 1, 10 do good() end
    local function total()
      local fds = g.process:descriptors()
      for _, pid in ipairs(g:pids()) do
        local pipe = io.popen("ls /proc/" .. pid .. "/fd | wc -l")
        fds = fds + tonumber(pipe:read "*a")
        pipe:close()
      end
      return fds
    end
    local before = total()
    for _ = 1, 30 do good() end
    assert.is_true(total() <= before + 2, before .. " -> " .. total())
  end)
end)

describe("a start", function()
  it("fails with file and line when the script is broken", function()
    local code, err = gateway.fail_to_start { "local x = = 1" }
    assert.equal(78, code)
    assert.is_truthy(err:find "main.lua:1")
  end)

  it("fails when a port is busy", function()
    local other = assert(socket.bind("127.0.0.1", 0))
    local _, port = other:getsockname()
    local code, err = gateway.fail_to_start { busy = port,
      "require('weir').listen '127.0.0.1:$(busy)'" }
    assert.equal(69, code)
    assert.is_truthy(err:find(tostring(port)))
    other:close()
  end)

  it("fails when another weir has the port", function()
    local g = gateway.start { script "x" }
    local code = gateway.fail_to_start { busy = g.port,
      "require('weir').listen '127.0.0.1:$(busy)'" }
    assert.equal(69, code)
    g:stop()
  end)

  it("fails when the script is not there", function()
    local process = require "spec.support.process"
    local p = process.spawn { process.program "weir", "run", "/nonexistent.lua", "--admin",
      "127.0.0.1:" .. ports.free() }
    local code = p:wait()
    assert.is_truthy(p:stderr():find "/nonexistent.lua")
    p:kill()
    assert.equal(78, code)
  end)
end)
