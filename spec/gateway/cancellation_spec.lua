local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

describe("a client that leaves", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local guarded = weir.policy("guarded", {
        weir.deadline "30s", weir.retry(2), weir.breaker { min_calls = 5 },
        weir.bulkhead { max = 4, queue = 8, wait = "20s" }, weir.timeout "20s" })
      weir.route("/run", { deadline = "30s" }, function(req) return guarded(function()
        return up:forward(req) end) end)
      local finished = weir.metrics.counter("spec_finished_total", "Handlers that ran to their end")
      local unwound = weir.metrics.counter("spec_after_total",
        "What ran after a wait that was cancelled")
      weir.route("GET /sleep", { deadline = "30s" }, function()
        pcall(function() weir.sleep "20s" end)
        unwound:inc()
        return "slept"
      end)
      weir.route("GET /children", { deadline = "30s" }, function(req)
        return weir.race {
          function() return guarded(function() return up:request "/run?hang" end) end,
          function() return guarded(function() return up:request "/run?hang" end) end,
          function() weir.sleep "20s"; unwound:inc() end,
        }
      end)
      local function nest(n)
        if n == 0 then return guarded(function() return up:request "/run?hang" end) end
        return weir.all { function() return nest(n - 1) end }
      end
      weir.route("GET /nested", { deadline = "30s" }, function() nest(60) return "x" end)
      weir.route("GET /spawn", { deadline = "30s" }, function()
        weir.spawn(function() weir.sleep "50ms"; finished:inc { what = "spawn" } end)
        return weir.sleep "20s"
      end)
      weir.route("GET /raise-inside", function()
        return guarded(function() error "inside" end)
      end)
      weir.route("GET /ladder", function()
        return weir.ladder {
          { "one", function() return guarded(function() error "inside" end) end },
          { "two", function() return guarded(function() return "two" end) end, max = 1 },
        }
      end)
      weir.route("POST /slurp", { deadline = "30s" }, function(req) return req:text() end)
    ]] }
    g:expect "script.error"
    g:expect "script"
    g:expect "script.log"
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

  -- Idle connections may stay in the workers' pools; those that hang must be gone.
  local function upstream_closed()
    wait.for_("the upstream's connections to close", function()
      local hanging = o:counts().hanging
      return hanging == 0, hanging
    end)
  end

  it("has its upstream's connection closed and its permit given back", function()
    local c = g:begin("GET", "/run?hang")
    in_use(1)
    c:close()
    in_use(0)
    upstream_closed()
  end)

  it("takes its tasks with it, nearly as deep as they may be nested", function()
    local c = g:begin("GET", "/nested")
    in_use(1)
    c:close()
    in_use(0)
    upstream_closed()
  end)

  it("does so with a reset, with a half-read answer, and with a half-sent body", function()
    local c = g:begin("GET", "/run?hang")
    in_use(1)
    c:reset()
    in_use(0)
    c = g:begin("GET", origin.target { "send:HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
      "hang" })
    c:read_until "half"
    in_use(1)
    c:close()
    in_use(0)
    c = g:begin("POST", "/run?early;hang", { ["Content-Length"] = "1000000" })
    c:send(("x"):rep(100000))
    in_use(1)
    c:close()
    in_use(0)
    upstream_closed()
  end)

  it("keeps its permit to the last byte of the body", function()
    local c = g:begin("GET",
      origin.target { "send:HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf", "wait:200",
        "send:half" })
    c:read_until "half"
    in_use(1)
    assert.equal("half", c:read(4))
    in_use(0)
    c:close()
  end)

  it("leaves the queue of a bulkhead", function()
    local holders, queued = {}, {}
    for i = 1, 4 do holders[i] = g:begin("GET", "/run?hang") end
    in_use(4)
    for i = 1, 6 do queued[i] = g:begin("GET", "/run?hang") end
    wait.for_("six in the queue", function() return g:bulkhead "guarded".queued == 6 end)
    for i = 1, 3 do queued[i]:close() end
    wait.for_("three in the queue", function() return g:bulkhead "guarded".queued == 3 end)
    for i = 1, 4 do holders[i]:close() end
    in_use(3)
    for i = 4, 6 do queued[i]:close() end
    in_use(0)
    upstream_closed()
  end)

  it("is not waited for by its task: nothing after the wait runs", function()
    local c = g:begin("GET", "/sleep")
    wait.for_("the request to be active", function()
      return g:metric("http_server_active_requests") == 1 end)
    c:close()
    wait.for_("the request to end", function()
      return g:metric("http_server_active_requests") == 0 end)
    assert.equal(0, (g:metric("spec_after_total")))
  end)

  it("takes the children of its request with it", function()
    local c = g:begin("GET", "/children")
    in_use(2)
    c:close()
    in_use(0)
    upstream_closed()
    assert.equal(0, (g:metric("spec_after_total")))
  end)

  it("does not end what its request spawned", function()
    local c = g:begin("GET", "/spawn")
    wait.for_("the request to be active", function()
      return g:metric("http_server_active_requests") == 1 end)
    c:close()
    wait.for_("the spawned task to finish", function() return g:metric("spec_finished_total",
      'what="spawn"') == 1 end)
  end)

  it("while it sends a body that a handler reads frees the handler", function()
    local c = g:begin("POST", "/slurp", { ["Content-Length"] = "1000000" })
    c:send(("x"):rep(100000))
    wait.for_("the request to be active", function()
      return g:metric("http_server_active_requests") == 1 end)
    c:close()
    wait.for_("the request to end", function()
      return g:metric("http_server_active_requests") == 0 end)
  end)

  it("is told apart from a failure: no breaker counts it", function()
    assert.equal(0, (g:metric("weir_breaker_calls_total", 'kind="failed"')))
    assert.is_true(g:metric("weir_breaker_calls_total", 'kind="cancelled"') > 5)
    assert.equal("closed", g:breaker "guarded".state)
  end)

  it("is logged as such", function()
    wait.for_("four lines", function() return #g:log("access", { why = "client_abort" }) >= 4 end)
  end)

  it("and errors inside of layers leave no permit behind either", function()
    for _ = 1, 10 do
      assert.equal(500, g:get "/raise-inside".status)
      assert.equal("two", g:get "/ladder".body)
    end
    g:wait_idle()
  end)

  it("and comes a thousand times leaves nothing behind", function()
    for _ = 1, 1000 do
      local c = g:begin("GET", "/run?hang")
      c:close()
    end
    g:wait_idle()
    wait.for_("no request to be active", function()
      return g:metric("http_server_active_requests") == 0 end)
    upstream_closed()
  end)
end)
