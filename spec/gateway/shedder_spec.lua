local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local CLASSES = { "critical", "high", "normal", "low", "background" }

describe("a shedder", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, [[
      local weir = require "weir"
      weir.listen("127.0.0.1:$(port)", { trusted_proxies = { "127.0.0.1" },
        priority_header = "X-Priority" })
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local policies = {
        small = weir.policy("small", { weir.shedder { limit = 2, queue = 3, wait = "30s" } }),
        busy = weir.policy("busy", { weir.shedder { limit = 4, queue = 8, wait = "20s" } }),
        full = weir.policy("full", { weir.shedder { limit = 1, queue = 0 } }),
        shadow = weir.policy("shadow", { weir.shedder { limit = 1, queue = 0, mode = "shadow" } }),
        patient = weir.policy("patient", {
          weir.shedder { limit = { "aimd", initial = 10, window = "10ms" },
            max_healthy_latency = "20ms" },
          weir.deadline "50ms",
        }),
        learnt = weir.policy("learnt", { weir.shedder {
          limit = { "vegas", min = 2, max = 50, initial = 10, window = "20ms" } } }),
      }
      local function handler(req)
        local guarded = policies[req.headers["x-policy"] or "small"]
        if req.headers["x-set"] then weir.priority(req.headers["x-set"]) end
        local res, err = guarded(function() return up:forward(req) end)
        if res then return res end
        return weir.json(503, { kind = err.kind, policy = err.policy, primitive = err.primitive,
          message = err.message })
      end
      weir.route("/run", handler)
      weir.route("/ok", { priority = "low" }, handler)
      weir.route("/mine", { priority = "high" }, function(req)
        local before = weir.priority()
        local inside
        weir.all { function()
          weir.priority "background"
          inside = weir.priority()
        end }
        return req.priority .. " " .. before .. " " .. inside .. " " .. weir.priority()
      end)
    ]] }
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local function shedder(name)
    for _, s in ipairs(g:status().shedders) do
      if s.name == name then return s end
    end
  end

  --- A request of a priority that does what `steps` say, begun and not read.
  local function begin(policy, priority, steps)
    return g:begin("GET", origin.target(steps), { ["X-Policy"] = policy, ["X-Priority"] = priority,
      Connection = "close" })
  end

  local function wait_queued(name, count)
    wait.for_(count .. " to be queued", function()
      local now = shedder(name).queued
      return now == count, now .. " are"
    end)
  end

  it("serves the more important first, and drops the less important from a full queue", function()
    local first = {}
    for i = 1, 2 do first[i] = begin("small", "low", { "hang" }) end
    wait.for_("both slots to be taken", function() return shedder("small").in_use == 2 end)
    local clients = {}
    for i, priority in ipairs { "low", "background", "normal" } do
      clients[priority] = begin("small", priority, { origin.answer("200 OK", priority) })
      wait_queued("small", i)
    end
    clients.critical = begin("small", "critical", { origin.answer("200 OK", "critical") })
    local refused = clients.background:response()
    assert.equal(503, refused.status)
    local body = json.decode(refused.body)
    assert.same({ "shed", "small", "shedder" }, { body.kind, body.policy, body.primitive })
    local late = g:get(origin.target { origin.answer("200 OK", "late") },
      { ["X-Policy"] = "small", ["X-Priority"] = "background" })
    assert.equal(503, late.status)
    assert.matches("queue_full, priority background", late.body)
    for i = 1, 2 do first[i]:close() end
    for _, priority in ipairs { "critical", "normal", "low" } do
      assert.equal(priority, clients[priority]:response().body)
    end
    g:wait_idle()
    local now = shedder("small")
    assert.same({ critical = 0, high = 0, normal = 0, low = 0, background = 2 }, now.shed)
    assert.equal(0, now.in_use)
    local kind = 'kind="preempted"'
    assert.equal(1, g:metric("weir_shedder_calls_total", 'name="small"', kind))
    local label = 'priority="background"'
    assert.equal(2, g:metric("weir_shedder_shed_total", 'name="small"', label))
  end)

  it("keeps every critical call of an overloaded upstream, and sheds the background", function()
    local slow = {}
    for i = 1, 4 do slow[i] = begin("busy", "background", { "hang" }) end
    wait.for_("the slots to be taken", function() return shedder("busy").in_use == 4 end)
    -- Five times what fits, the least important first. Each takes its time at the origin.
    local clients = {}
    for class = 5, 1, -1 do
      for _ = 1, class == 1 and 6 or 9 do
        clients[#clients + 1] = { class = class,
          client = begin("busy", CLASSES[class], { "wait:20", origin.answer("200 OK", "x") }) }
      end
    end
    wait.for_("all to be judged", function()
      local now, count = shedder("busy"), 0
      for _, class in ipairs(CLASSES) do count = count + now.shed[class] end
      return now.queued + count == 42, ("%d queued, %d shed"):format(now.queued, count)
    end)
    for i = 1, 4 do slow[i]:close() end
    local served = { 0, 0, 0, 0, 0 }
    for _, one in ipairs(clients) do
      if one.client:response().status == 200 then served[one.class] = served[one.class] + 1 end
    end
    assert.same({ 6, 2, 0, 0, 0 }, served)
    g:wait_idle()
    local now = shedder("busy")
    assert.same({ critical = 0, high = 7, normal = 9, low = 9, background = 9 }, now.shed)
    assert.equal(0, now.in_use)
  end)

  it("holds a slot to the end of the body, and refuses by kind shed", function()
    local half = "send:HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab"
    local c = begin("full", "normal", { half, "hang" })
    c:read_until "ab"
    assert.equal(1, shedder("full").in_use)
    local r = g:get("/ok", { ["X-Policy"] = "full" })
    assert.equal(503, r.status)
    assert.matches("shedder 'full' refused %(full, priority low%): 1 of 1 in flight", r.body)
    c:close()
    wait.for_("the slot to be back", function() return shedder("full").in_use == 0 end)
    assert.equal(200, g:get("/ok", { ["X-Policy"] = "full" }).status)
  end)

  it("refuses nothing in shadow, and tells what it would have refused", function()
    local c = begin("shadow", "normal", { "hang" })
    wait.for_("the slot to be taken", function() return shedder("shadow").in_use == 1 end)
    assert.equal(200, g:get("/ok", { ["X-Policy"] = "shadow" }).status)
    assert.equal(1, g:metric("weir_shedder_shadow_total", 'name="shadow"', 'kind="full"'))
    c:close()
  end)

  it("learns its limit from the calls of all workers", function()
    wait.for_("the limit to move", function()
      local clients = {}
      for i = 1, 20 do clients[i] = g:begin("GET", "/ok", { ["X-Policy"] = "learnt" }) end
      for _, client in ipairs(clients) do client:response() client:close() end
      return shedder("learnt").limit ~= 10
    end, 20)
    g:wait_idle() -- what is still in flight may move it
    local now = shedder("learnt")
    assert.equal("vegas", now.rule)
    assert.is_true(now.limit >= 2 and now.limit <= 50)
    assert.is_true(now.latency_s > 0)
    assert.is_true(now.baseline_s > 0) -- the best it saw, which it compares with
    assert.equal(json.null, shedder("small").baseline_s) -- a fixed limit compares nothing
    assert.equal(now.limit, g:metric("weir_shedder_limit", 'name="learnt"'))
  end)

  it("learns from calls that the deadline cut off", function()
    wait.for_("the limit to fall", function()
      local clients = {}
      for i = 1, 10 do clients[i] = begin("patient", "normal", { "hang" }) end
      for _, client in ipairs(clients) do assert.equal(503, client:response().status) end
      return shedder("patient").limit < 10
    end, 20)
  end)

  it("takes the priority of the route, of a trusted caller, and of the script", function()
    assert.equal("high high background high", g:get("/mine").body)
    assert.equal("low low background low", g:get("/mine", { ["X-Priority"] = "low" }).body)
    assert.equal("high high background high", g:get("/mine", { ["X-Priority"] = "Nonsense" }).body)
    local seen = json.decode(g:get("/ok", { ["X-Set"] = "critical" }).body)
    assert.matches("X%-Priority: critical", seen.head)
  end)
end)

describe("weir.overload", function()
  local g

  local script = [[
    local weir = require "weir"
    weir.listen("127.0.0.1:$(port)", { priority_header = "X-Priority" })
    weir.overload { $(signal), mode = "$(mode)" }
    for _, class in ipairs { "critical", "high", "normal", "low", "background" } do
      weir.route("GET /" .. class, { priority = class }, function() return class end)
    end
    local free = { priority = "background", exempt = true }
    weir.route("GET /exempt", free, function() return "ok" end)
    weir.route("GET /wait", { priority = "critical" }, function() weir.sleep "30s" end)
    weir.route("GET /burn", { priority = "critical" }, function()
      local sum = 0
      for i = 1, 400000 do sum = sum + i end
      return "burnt"
    end)
  ]]

  after_each(function()
    if g then g:stop() end
    g = nil
  end)

  local function start(signal, mode)
    g = gateway.start { workers = 1, signal = signal, mode = mode or "normal", script }
  end

  local function level(at_least)
    wait.for_("the level to reach " .. at_least, function()
      local now = g:status().workers[1].sheds
      return now >= at_least, now
    end)
  end

  local function statuses()
    local seen = {}
    for i, class in ipairs(CLASSES) do seen[i] = g:get("/" .. class).status end
    return seen
  end

  it("sheds before handlers by the route's priority, never the critical or the exempt", function()
    start 'memory = "1MiB"'
    level(4)
    assert.same({ 200, 503, 503, 503, 503 }, statuses())
    local r = g:get("/background")
    assert.matches("requests of priority background are shed", r.body)
    assert.equal("shed", json.decode(r.body).kind)
    assert.equal("1", r.headers["retry-after"])
    assert.equal(200, g:get("/exempt").status)
    assert.equal(404, g:get("/nothing").status)
    assert.equal(503, g:get("/low", { ["X-Priority"] = "critical" }).status, "nobody trusts it")
    assert.is_true(g:is_ready(), "the admin listener serves always")
    local line = g:wait_log("access", { route = "/background" })
    assert.same({ "shed", "overload" }, { line.why, line.refused_by })
    local label = 'priority="background"'
    assert.equal(2, g:metric("weir_overload_shed_total", label, 'kind="shed"'))
    assert.equal(4, g:metric "weir_overload_level")
    local memory = g:status().memory
    assert.is_true(memory.bytes > 2 ^ 20 and memory.limit > memory.bytes)
  end)

  it("sheds by requests in flight, and lets go when they are over", function()
    start "in_flight = 5"
    assert.same({ 200, 200, 200, 200, 200 }, statuses())
    local clients = {}
    for i = 1, 8 do clients[i] = g:begin("GET", "/wait") end
    level(2)
    assert.equal(503, g:get("/background").status)
    for _, client in ipairs(clients) do client:close() end
    wait.for_("the level to fall", function() return g:status().workers[1].sheds == 0 end)
    assert.same({ 200, 200, 200, 200, 200 }, statuses())
  end)

  it("sheds by the lag of its loop", function()
    start 'lag = "2ms"'
    wait.for_("the level to rise", function()
      local clients = {}
      for i = 1, 40 do clients[i] = g:begin("GET", "/burn", { Connection = "close" }) end
      for _, client in ipairs(clients) do assert.equal("burnt", client:response().body) end
      return g:metric "weir_overload_level" > 0
    end, 20)
  end)

  it("only counts in shadow mode", function()
    start('memory = "0.001%"', "shadow")
    level(4)
    assert.is_true(g:status().workers[1].shadow)
    assert.same({ 200, 200, 200, 200, 200 }, statuses())
    assert.equal(4, g:metric("weir_overload_shed_total", 'kind="shadow"'))
  end)

  it("is declared once, with a signal that counts", function()
    local cases = {
      { 'weir.overload {}', "overload: give at least one of lag, memory and in_flight" },
      { 'weir.overload { lag = "1s" } weir.overload { lag = "2s" }', "it is declared twice" },
      { 'weir.overload { memory = "101%" }', "over 0% and at most 100%" },
      { 'weir.overload { memory = "much" }', "memory" },
      { 'weir.policy("p", { weir.shedder { limit = { "vegs" } } })', "did you mean 'vegas'" },
      { 'weir.policy("p", { weir.shedder { limit = { "vegas", min = 50, max = 9 } } })',
        "adaptive limit: min is 50, above max, 9" },
      { 'weir.route("/x", { priority = "hihg" }, print)', "did you mean 'high'" },
      { 'weir.priority "low"', "belongs to a task" },
    }
    for _, case in ipairs(cases) do
      local code, err = gateway.fail_to_start { [[
        local weir = require "weir"
        weir.listen "127.0.0.1:$(port)"
        ]] .. case[1] }
      assert.equal(78, code, case[1])
      assert.truthy(err:find(case[2], 1, true), err)
      assert.truthy(err:find("main.lua:3", 1, true), err)
    end
  end)
end)

describe("a reload", function()
  local g, o

  after_each(function()
    g:stop()
    o:kill()
  end)

  it("changes limits and signals, and keeps who is in and who waits", function()
    local script = [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      $(overload)
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy("kept", { weir.shedder { limit = $(limit), wait = "30s" } })
      weir.route("/run", { priority = "critical" }, function(req)
        return guarded(function() return up:forward(req) end)
      end)
      weir.route("/low", { priority = "low" }, function() return "low" end)
    ]]
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, limit = 1,
      overload = 'weir.overload { memory = "1MiB" }', script }
    local function kept() return g:status().shedders[1] end
    local first = g:begin("GET", "/run?hang")
    wait.for_("the slot to be taken", function() return kept().in_use == 1 end)
    local second = g:begin("GET", origin.target { origin.answer("200 OK", "second") })
    wait.for_("the other to wait", function() return kept().queued == 1 end)
    wait.for_("both workers to shed", function()
      local workers = g:status().workers
      return workers[1].sheds == 4 and workers[2].sheds == 4
    end)
    assert.equal(503, g:get("/low").status)
    assert.equal("live", g:reload({ script, limit = 2, overload = "" }).result)
    assert.equal("second", second:response().body)
    wait.for_("both workers to let go", function()
      local workers = g:status().workers
      return workers[1].sheds == 0 and workers[2].sheds == 0
    end)
    assert.equal(200, g:get("/low").status)
    assert.equal(1, kept().in_use)
    first:close()
    g:wait_idle()
    wait.for_("the slot to be back", function() return kept().in_use == 0 end)
  end)
end)
