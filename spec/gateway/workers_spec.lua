local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

describe("a worker", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy("guarded", {
        weir.breaker { min_calls = 5 }, weir.bulkhead { max = 3, queue = 4, wait = "20s" } })
      weir.route("/run", { deadline = "30s" }, function(req) return guarded(function()
        return up:forward(req) end) end)
      weir.route("GET /fast", function() return "fast" end)
      weir.route("GET /burst", function() while true do pcall(function() while true do end end)
        end end)
      weir.route("GET /bomb", function() local t = {} while true do t[#t + 1] = { ("x"):rep(100)
        .. #t } end end)
      weir.route("GET /bomb-caught", function()
        local t = {}
        while true do pcall(function() while true do t[#t + 1] = { ("x"):rep(100)
          .. #t } end end) end
      end)
      weir.route("GET /burst-in-ladder", function()
        return weir.ladder { { "a", function() while true do end end }, { "b",
          function() return "b" end } }
      end)
      weir.route("GET /burst-in-child", function()
        return weir.race { function() while true do end end, function() weir.sleep "1ms";
          return "other" end }
      end)
      weir.route("GET /holds", function()
        return guarded(function() while true do end end)
      end)
    ]] }
    for _, event in ipairs { "worker.exit", "worker.stuck", "script.error",
      "script.log" } do g:expect(event) end
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function in_use(n)
    wait.for_(n .. " permits in use", function()
      local used = g:bulkhead "guarded".in_use
      return used == n, used
    end)
  end

  local function replaced(pid)
    wait.for_("a successor of " .. pid, function()
      for _, w in ipairs(g:status().workers) do
        if w.pid == pid or w.pid == 0 then return false end
      end
      return true
    end)
    g:workers_live()
  end

  it("that is killed is replaced, and its permits and places in queues come back", function()
    for round = 1, 4 do
      local clients = {}
      for i = 1, 7 do clients[i] = g:begin("GET", "/run?hang") end
      wait.for_("a full bulkhead", function()
        local b = g:bulkhead "guarded"
        return b.in_use == 3 and b.queued == 4
      end)
      for _, pid in ipairs(g:pids()) do os.execute("kill -9 " .. pid) replaced(pid) end
      g:wait_idle()
      for _, c in ipairs(clients) do c:close() end
      assert.equal(200,
        g:get "/run?send:HTTP/1.1%20200%20OK%0D%0AContent-Length:%200%0D%0A%0D%0A".status, "round "
          .. round)
    end
    assert.is_true(g:metric "weir_tickets_settled_total" >= 4 * 3)
  end)

  it("that is killed leaves the other's requests alone", function()
    local c = {}
    for i = 1, 3 do
      c[i] = g:begin("GET", origin.target { "wait:600", origin.answer("200 OK", "done") })
    end
    in_use(3)
    local pid = g:pids()[1]
    os.execute("kill -9 " .. pid)
    local done, lost = 0, 0
    for i = 1, 3 do
      local ok, r = pcall(c[i].response, c[i])
      if ok and r.body == "done" then done = done + 1 else lost = lost + 1 end
    end
    assert.equal(3, done + lost)
    replaced(pid)
    in_use(0)
  end)

  it("that stands still is replaced", function()
    local pid = g:pids()[1]
    os.execute("kill -STOP " .. pid)
    replaced(pid)
    for _ = 1, 10 do assert.equal("fast", g:get "/fast".body) end
  end)

  it("outlives scripts that loop, whatever catches their errors", function()
    local before = g:pids()
    for _, path in ipairs { "/burst", "/holds", "/burst-in-ladder" } do
      assert.equal(500, g:get(path).status, path)
    end
    assert.equal("other", g:get "/burst-in-child".body)
    assert.same(before, g:pids())
    assert.is_true(g:metric("weir_limits_reached_total", "script_burst") >= 4)
    g:wait_idle()
  end)

  it("outlives scripts that eat memory, whatever catches their errors", function()
    local before = g:pids()
    assert.equal(500, g:get "/bomb".status)
    assert.equal(500, g:get "/bomb-caught".status)
    assert.same(before, g:pids())
    for _ = 1, 10 do assert.equal("fast", g:get "/fast".body) end
  end)
end)
