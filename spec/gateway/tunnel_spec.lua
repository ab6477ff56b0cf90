--- Connections that go on in another protocol: WebSockets through weir.
local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local ASK = { Connection = "Upgrade", Upgrade = "websocket" }

local function tunnel(...)
  return process.spawn { "/usr/bin/python3", "spec/support/tunnel.py", ... }
end

-- Resident KiB of the workers.
local function resident(g)
  local sum = 0
  for _, pid in ipairs(g:pids()) do
    local file = assert(io.open("/proc/" .. pid .. "/status"))
    sum = sum + tonumber(file:read("*a"):match "VmRSS:%s*(%d+) kB")
    file:close()
  end
  return sum
end

describe("a tunnel", function()
  local g, raw_server, ws_server
  local SCRIPT = [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local raw = weir.upstream("raw", { endpoints = { "http://127.0.0.1:$(raw)" }, upgrade = true })
    local quick = weir.upstream("quick", { endpoints = { "http://127.0.0.1:$(raw)" },
      upgrade = { "websocket" }, tunnel_idle = "300ms" })
    local short = weir.upstream("short", { endpoints = { "http://127.0.0.1:$(raw)" },
      upgrade = true, tunnel_total = "400ms" })
    local plain = weir.upstream("plain", { endpoints = { "http://127.0.0.1:$(raw)" } })
    local ws = weir.upstream("ws", { endpoints = { "http://127.0.0.1:$(ws)" }, upgrade = true })
    local guarded = weir.policy("guarded", { weir.deadline "1s", weir.breaker { min_calls = 5 },
      weir.bulkhead { max = 2 }, weir.timeout "500ms" })
    weir.route("GET /quick", function(req) return quick:forward(req, { path = "/echo" }) end)
    weir.route("GET /short", function(req) return short:forward(req, { path = "/echo" }) end)
    weir.route("GET /plain", function(req) return plain:forward(req, { path = "/head" }) end)
    weir.route("GET /ws", function(req) return ws:forward(req) end)
    weir.route("GET /dropped", function(req)
      local res = raw:forward(req, { path = "/echo" })
      return "status " .. res.status
    end)
    local kept
    weir.route("GET /other", function(req)
      if kept then return kept end
      kept = raw:forward(req, { path = "/echo" })
      return kept
    end)
    weir.route("GET /guarded", { deadline = "1s" }, function(req)
      return guarded(function() return raw:forward(req, { path = "/echo" }) end)
    end)
    weir.route("/*path", function(req) return raw:forward(req) end)
    -- $(version)
  ]]

  setup(function()
    raw_server, ws_server = tunnel "raw", tunnel "serve"
    g = gateway.start { workers = 2, raw = raw_server:line "port (%d+)",
      ws = ws_server:line "port (%d+)", version = 0, SCRIPT }
  end)

  teardown(function()
    g:stop()
    raw_server:kill()
    ws_server:kill()
  end)

  local function open(path, headers)
    local client = g:begin("GET", path, headers or ASK)
    local head = client:head()
    return client, head
  end

  it("opens when the upstream has agreed, and carries bytes both ways", function()
    local client, head = open "/echo"
    assert.equal(101, head.status)
    assert.equal("Switching Protocols", head.reason)
    assert.equal("upgrade", head.headers.connection:lower())
    assert.equal("websocket", head.headers.upgrade:lower())
    assert.equal("yes", head.headers["x-mine"])
    assert.is_nil(head.headers["content-length"] or head.headers["transfer-encoding"])
    for i = 1, 50 do
      local bytes = ("\0\255%d"):format(i):rep(i * 10)
      assert.equal(bytes, client:send(bytes):read(#bytes))
    end
    client:close()
  end)

  it("carries a client's FIN to the upstream, and what that still says back", function()
    local client = open "/count"
    client:send(("x"):rep(100000)):half_close()
    assert.equal("100000", (client:read_all()))
    local echo = open "/echo"
    echo:send "last words"
    echo:half_close()
    local bytes, how = echo:read_all()
    assert.equal("last wordsbye", bytes)
    assert.equal("closed", how)
  end)

  it("gives all that an upstream said before its end", function()
    local client = open "/bye"
    local bytes, how = client:read_all()
    assert.equal("hello and goodbye", bytes)
    assert.equal("closed", how)
  end)

  it("holds a fast upstream back for a slow client, and a fast client for an upstream", function()
    local client = g:connect { receive_buffer = 4096 }
    client:send(gateway.head("GET", "/flood", ASK))
    assert.equal(101, client:head().status)
    local memory = resident(g)
    local total = 64 * 1024 * 1024
    assert.equal(total, client:skip(total))
    local grown = resident(g) - memory
    assert.is_true(grown < 16 * 1024, grown .. " KiB")
    client:close()
    local up = open "/count"
    local piece = ("x"):rep(1024 * 1024)
    for _ = 1, 32 do up:send(piece) end
    up:half_close()
    assert.equal(tostring(32 * 1024 * 1024), (up:read_all()))
  end)

  it("lets nothing of the client's go upstream before it is open", function()
    local client = g:connect()
    client:send(gateway.head("GET", "/late", ASK) .. "too early")
    local head = client:head()
    assert.equal(101, head.status)
    assert.equal("0", head.headers["x-early"])
    assert.equal("too early", client:read(9))
    client:close()
  end)

  it("is an ordinary response when the upstream refuses, and the connection goes on", function()
    local client, head = open "/refuse"
    assert.equal(403, head.status)
    assert.equal("no", client:read(2))
    assert.is_nil(head.headers.upgrade)
    client:send(gateway.head("GET", "/refuse", ASK))
    assert.equal(403, client:response().status)
    client:close()
  end)

  it("does not open for an upstream that switches otherwise than asked", function()
    for _, path in ipairs { "/wrong", "/bare", "/silent", "/twice", "/framed" } do
      local r = g:get(path, { Connection = "Upgrade, close", Upgrade = "websocket" })
      assert.equal(502, r.status, path)
    end
    assert.equal(502, g:get "/wrong".status, "nobody had asked")
  end)

  it("is not asked for where the upstream is not declared for it, or the client asks for it oddly",
    function()
    local plain = g:get("/plain", { Connection = "Upgrade, close", Upgrade = "websocket" })
    assert.falsy(plain.body:lower():find "upgrade")
    for _, case in ipairs {
      { { Connection = "close", Upgrade = "websocket" }, "not named in Connection" },
      { { Connection = "Upgrade, close", Upgrade = "h2c" }, "a protocol that is not allowed" },
    } do
      local r = g:get("/head", case[1])
      assert.equal(200, r.status, case[2])
      assert.falsy(r.body:lower():find "upgrade", case[2])
    end
    local c = g:connect()
    c:send "GET /head HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert.falsy(c:response().body:lower():find "upgrade", "HTTP/1.0")
    c:close()
  end)

  it("is refused with 400 when it could be read in two ways", function()
    local cases = {
      { "GET", "Upgrade: websocket, h2c\r\n" }, { "GET", "Upgrade: websocket\r\nUpgrade: h2c\r\n" },
      { "POST", "Upgrade: websocket\r\nContent-Length: 0\r\n" },
      { "GET", "Upgrade: websocket\r\nContent-Length: 5\r\n", "hello" },
      { "GET", "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" },
      { "GET", "Upgrade:\r\n" },
    }
    for _, case in ipairs(cases) do
      local c = g:connect()
      c:send(("%s /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n%s\r\n%s"):format(case[1],
        case[2], case[3] or ""))
      assert.equal(400, c:response().status, case[2])
      c:close()
    end
  end)

  it("belongs to the response of its own request", function()
    assert.equal("status 101", g:get("/dropped", { Connection = "Upgrade, close",
      Upgrade = "websocket" }).body, "a handler may answer something else")
    local first, head = open "/other"
    assert.equal(101, head.status)
    -- The other worker has a `kept` of its own, which ends with its client.
    g:expect "script.error"
    wait.for_("a refusal", function()
      local c, other = open "/other"
      c:close()
      return other.status == 500
    end)
    assert.equal("ping", first:send "ping":read(4))
    first:close()
  end)

  it("ends in good order when it idles for too long, or is open for too long", function()
    local client = open "/quick"
    assert.equal("ping", client:send "ping":read(4))
    local bytes, how = client:read_all()
    assert.equal("", bytes)
    assert.equal("closed", how)
    client = open "/short"
    local got = wait.for_("the end", function()
      local sent = client:try_send "x"
      local ok, byte = pcall(client.read, client, 1)
      return not ok and (sent or byte)
    end)
    assert.is_truthy(got)
    client:close()
    assert.equal("upstream_timeout", g:wait_log("access", { route = "/quick", status = 101 }).why)
  end)

  it("outlives deadlines, holds no permit, and is counted by itself", function()
    local clients = {}
    for i = 1, 5 do
      local head
      clients[i], head = open "/guarded" -- its bulkhead has 2 slots, its deadline is 1 s
      assert.equal(101, head.status)
    end
    g:wait_idle()
    wait.for_("5 tunnels", function()
      local open_now = g:metric "weir_tunnels"
      return open_now == 5, open_now
    end)
    wait.for_("no active request", function()
      return g:metric "http_server_active_requests" == 0
    end)
    os.execute "sleep 1.2"
    for _, c in ipairs(clients) do assert.equal("alive", c:send "alive":read(5)) end
    for _, c in ipairs(clients) do c:close() end
    wait.for_("no tunnel", function() return g:metric "weir_tunnels" == 0 end)
    assert.is_true(g:metric("weir_tunnels_total", 'upstream="raw"') >= 5)
    assert.equal("closed", g:breaker "guarded".state)
  end)

  it("has one access line, at its end, with the bytes of both ways", function()
    local client = g:begin("GET", "/count", { Connection = "Upgrade", Upgrade = "websocket",
      ["X-Request-ID"] = "line-of-a-tunnel" })
    client:head()
    client:send "12345"
    assert.equal(0, #g:log("access", { request_id = "line-of-a-tunnel" }))
    client:half_close()
    client:read_all()
    local line = g:wait_log("access", { request_id = "line-of-a-tunnel" })
    assert.equal(101, line.status)
    assert.equal("ok", line.why)
    assert.equal(5, line.received_bytes)
    assert.equal(1, line.sent_bytes)
    assert.equal("raw", line.upstream)
  end)

  it("cancels the upstream's end when the client is gone", function()
    local client = open "/echo"
    client:reset()
    wait.for_("no tunnel", function() return g:metric "weir_tunnels" == 0 end)
  end)

  it("carries real WebSockets", function()
    local client = tunnel("talk", ("ws://127.0.0.1:%d/ws"):format(g.port), "20")
    assert.equal(0, client:wait(30), client:stderr())
    assert.truthy(client:stdout():find "ok 20")
    client:kill()
  end)

  it("stays open through a hundred reloads", function()
    local client = tunnel("hold", ("ws://127.0.0.1:%d/ws"):format(g.port), "20")
    client:line "open()"
    for round = 1, 100 do
      g.vars.version = round
      assert.equal("live", g:reload({ (SCRIPT:gsub("%$%(version%)", tostring(round))) }).result)
      if round % 20 == 0 then
        client:signal "USR1"
        wait.for_("all to be alive", function()
          local out = client:stdout()
          assert.falsy(out:find "lost", out)
          return out:find(("alive %d\n"):format(round / 20), 1, true)
        end)
      end
    end
    client:kill()
    assert.equal(0, #g:log "worker.exit")
  end)

  it("does not hold a stop for longer than the drain", function()
    local port = raw_server:line "port (%d+)"
    local other = gateway.start { workers = 1, drain = "300ms", raw = port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local raw = weir.upstream("raw", { endpoints = { "http://127.0.0.1:$(raw)" },
        upgrade = true })
      weir.route("/*path", function(req) return raw:forward(req) end)
    ]] }
    local client = other:begin("GET", "/echo", ASK)
    assert.equal(101, client:head().status)
    other:stop()
    client:close()
  end)
end)
