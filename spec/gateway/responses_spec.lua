local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"

describe("what a client sees when things fail", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, dead = ports.free(), [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local dead = weir.upstream("dead", { endpoints = { "http://127.0.0.1:$(dead)" } })
      local nameless = weir.upstream("nameless", { endpoints = { "http://nowhere.invalid" } })
      weir.route("GET /dead", function(req) return dead:forward(req) end)
      weir.route("GET /nameless", function(req) return nameless:forward(req) end)
      weir.route("/run", function(req) return up:forward(req) end)
      weir.route("GET /slow", function(req) return up:forward(req, { path = "/run?hang",
        timeout = "50ms" }) end)
      weir.route("GET /deadline", { deadline = "50ms" }, function(req) return up:forward(req,
        { path = "/run?hang" }) end)
      weir.route("GET /sleepy", { deadline = "50ms" }, function() return weir.sleep "10s" end)
      local full = weir.policy("full", { weir.bulkhead { max = 1, queue = 0 } })
      weir.route("GET /full", function(req)
        return full(function() return full(function() return "never" end) end)
      end)
      local off = weir.policy("off", { weir.breaker { mode = "forced_open" } })
      weir.route("GET /off", function(req) return off(function() return "never" end) end)
      weir.route("GET /raise", function() error "secret words" end)
      weir.route("GET /raise-table", function() error({ secret = true }) end)
      weir.route("GET /nil", function() return nil end)
      weir.route("GET /number", function() return 42 end)
      weir.route("GET /table", function() return {} end)
      weir.route("GET /loop", function() while true do end end)
      weir.route("GET /deep", function() local function f() return f() + 1 end return f() end)
      weir.route("GET /mine", function() return nil, weir.error("limited", "not so fast",
        { after = 7 }) end)
      weir.route("GET /handled", { on_error = function(req, err)
        return weir.json(503, { kind = err.kind, path = req.path })
      end }, function() error "bad" end)
      weir.route("GET /handled-badly", { on_error = function() error "worse" end },
        function() error "bad" end)
      weir.route("/open", { on_error = "open", upstream = up }, function() error "bad" end)
      weir.route("GET /late", { on_error = function() weir.sleep "1ms"; return "late" end },
        function()
        weir.sleep "1ms"; error "bad" end)
      weir.route("GET /wait-then-raise", function() weir.sleep "1ms"; local x = nil; return x.y end)
    ]] }
    g:expect "script.error"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function problem(path, status, kind)
    local r = g:get(path)
    assert.equal(status, r.status, r.body)
    assert.equal("application/problem+json", r.headers["content-type"])
    assert.equal("no-store", r.headers["cache-control"])
    local p = json.decode(r.body)
    assert.equal(kind, p.kind)
    assert.equal(status, p.status)
    return r, p
  end

  it("is 502 when nobody listens", function() problem("/dead", 502, "connect") end)
  it("is 502 when the name does not resolve", function() problem("/nameless", 502, "dns") end)
  it("is 504 when an attempt takes too long", function() problem("/slow", 504, "timeout") end)
  it("is 504 when the deadline passes in a call", function() problem("/deadline", 504,
    "deadline") end)
  it("is 504 when the deadline passes in a sleep", function() problem("/sleepy", 504,
    "deadline") end)

  it("is 502 when the upstream closes without an answer", function()
    problem(origin.target { "close" }, 502, "reset")
    problem(origin.target { "reset" }, 502, "reset")
  end)

  it("is 502 when the upstream does not speak HTTP", function()
    problem(origin.target { "send:hello there\r\n\r\n", "close" }, 502, "protocol")
  end)

  it("is 503 with Retry-After when a bulkhead is full", function()
    local r = problem("/full", 503, "refused")
    assert.equal("1", r.headers["retry-after"])
  end)

  it("is 503 when a breaker is forced open", function()
    local r = problem("/off", 503, "refused")
    assert.is_truthy(tonumber(r.headers["retry-after"]))
  end)

  it("is 429 with the policy's own Retry-After", function()
    local r = problem("/mine", 429, "limited")
    assert.equal("7", r.headers["retry-after"])
  end)

  it("is 500 without the script's words when a handler raises", function()
    for _, path in ipairs { "/raise", "/raise-table", "/wait-then-raise", "/deep" } do
      local r = problem(path, 500, "script")
      assert.is_nil(r.body:find "secret")
      assert.is_nil(r.body:find "main.lua")
    end
    local line = g:wait_log("script.error", { route = "/raise" })
    assert.is_truthy(line.message:find("main.lua:%d+: secret words"), line.message)
    assert.is_truthy(line.traceback)
  end)

  it("is 500 when a handler returns what is no answer", function()
    for _, path in ipairs { "/nil", "/number", "/table" } do problem(path, 500, "script") end
  end)

  it("is 500 when a handler loops, and other requests go on", function()
    local r = problem("/loop", 500, "script")
    assert.is_nil(r.body:find "main.lua")
    assert.equal(429, g:get("/mine").status)
  end)

  it("is what on_error returns, with the error's kind and the request", function()
    local r = g:get "/handled"
    assert.equal(503, r.status)
    assert.same({ kind = "script", path = "/handled" }, json.decode(r.body))
  end)

  it("lets on_error wait", function() assert.equal("late", g:get("/late").body) end)
  it("is 500 when on_error raises too", function() problem("/handled-badly", 500, "script") end)

  it("goes to the upstream as it is with on_error = \"open\"", function()
    local r = g:request("POST", "/open", nil, "abc")
    assert.equal(200, r.status)
    assert.equal("abc", json.decode(r.body).body)
  end)

  it("breaks the connection off when the upstream's body is cut short", function()
    local c = g:begin("GET",
      origin.target { "send:HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "wait:50",
        "close" })
    local head = c:head()
    assert.equal(200, head.status)
    assert.equal("100", head.headers["content-length"])
    local body = c:read_all()
    assert.is_true(#body < 100)
    c:close()
    c = g:begin("GET", origin.target {
      "send:HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "wait:50",
        "close" })
    assert.equal(200, c:head().status)
    assert.is_nil(c:read_all():find("0\r\n\r\n", 1, true))
    c:close()
  end)

  it("leaves no permit behind", function() g:wait_idle() end)
end)
