--- Tunnels to upstreams over TLS: what tunnel_spec.lua asks of plain ones, and what TLS adds.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local ASK = { Connection = "Upgrade", Upgrade = "websocket" }

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local function serve(name, port, more)
    local options = { endpoints = { "https://127.0.0.1:" .. port }, upgrade = true,
      tls = { ca = "$(ca)" } }
    for key, value in pairs(more or {}) do options[key] = value end
    local up = weir.upstream(name, options)
    weir.route("GET /" .. name .. "/*path", function(req)
      local path = req.headers["x-path"] or "/" .. req.params.path
      local res, err = up:forward(req, { path = path })
      if not res then
        return weir.json(err.kind == "timeout" and 504 or 502, { kind = err.kind,
          message = err.message })
      end
      return res
    end)
  end
  serve("raw", $(raw), { tls = { ca = "$(raw_ca)" } })
  serve("quick", $(raw), { tls = { ca = "$(raw_ca)" }, tunnel_idle = "300ms" })
  serve("ws", $(ws))
  serve("stranger", $(raw))
  serve("misnamed", $(ws), { tls = { ca = "$(ca)", server_name = "other.example" } })
  serve("silent", $(silent), { connect = "200ms" })
  serve("plain", $(plain))
  serve("cut", $(cut), { tls = { verify = false } })
  serve("proxied", $(proxied), { tls = { verify = false }, proxy_protocol = "v1" })
  serve("socket", 1, { tls = { verify = false }, endpoints = { "https://unix:$(socket)" } })
  -- $(version)
]]

describe("a tunnel over TLS", function()
  local folder, g
  local others = {}

  local function python(...)
    local p = process.spawn { "/usr/bin/python3", ... }
    others[#others + 1] = p
    return p
  end

  setup(function()
    folder = certificates.new()
    local ca = folder:authority "root"
    local pair = folder:make("up", { by = ca, san = "IP:127.0.0.1" })
    local raw = python("spec/support/tunnel.py", "raw")
    local relay = python("spec/support/relay.py", raw:line "port (%d+)", folder.path, "halves")
    local odd = python("spec/support/tls_odd.py", pair.cert, pair.key)
    local socket = folder.path .. "/up.sock"
    for _, name in ipairs { "one", "two" } do
      assert(os.execute(("mkdir %s/%s"):format(folder.path, name)) == 0)
    end
    local proxied = python("spec/support/origin.py", "--tls", folder.path .. "/one", "--proxied")
    local cut = python("spec/support/origin.py", "--tls", folder.path .. "/two", "--unix", socket)
    local port = cut:line "port (%d+)"
    g = gateway.start { workers = 1, version = 0, SCRIPT, ca = ca.cert, socket = socket,
      raw = relay:line "port (%d+)", raw_ca = relay:line "cert (%S+)",
      ws = python("spec/support/tunnel.py", "serve", pair.cert, pair.key):line "port (%d+)",
      silent = odd:line "silent (%d+)", plain = odd:line "plain (%d+)", cut = port,
      proxied = proxied:line "port (%d+)" }
  end)

  teardown(function()
    g:stop()
    for _, p in ipairs(others) do p:kill() end
    folder:remove()
  end)

  local function open(path, options)
    local client = g:connect(options)
    client:send(gateway.head("GET", path, ASK))
    return client, client:head()
  end

  local function resident()
    local file = assert(io.open("/proc/" .. g:pids()[1] .. "/status"))
    local kib = tonumber(file:read("*a"):match "VmRSS:%s*(%d+) kB")
    file:close()
    return kib
  end

  it("opens when the upstream has agreed, and carries bytes both ways", function()
    local client, head = open "/raw/echo"
    assert.equal(101, head.status)
    assert.equal("yes", head.headers["x-mine"])
    for i = 1, 50 do
      local bytes = ("\0\255%d"):format(i):rep(i * 10)
      assert.equal(bytes, client:send(bytes):read(#bytes))
    end
    client:close()
    wait.for_("no tunnel", function() return g:metric "weir_tunnels" == 0 end)
  end)

  it("passes ends on, in either direction, and what the other side still says", function()
    local client = open "/raw/count"
    client:send(("x"):rep(100000)):half_close()
    assert.equal("100000", (client:read_all()))
    local bye = open "/raw/bye"
    local bytes, how = bye:read_all()
    assert.same({ "hello and goodbye", "closed" }, { bytes, how })
  end)

  it("holds a fast upstream back for a slow client, and a fast client for an upstream", function()
    local client, head = open("/raw/flood", { receive_buffer = 4096 })
    assert.equal(101, head.status)
    local memory = resident()
    local total = 64 * 1024 * 1024
    assert.equal(total, client:skip(total))
    local grown = resident() - memory
    -- The sanitizer keeps freed memory in quarantine, OpenSSL's for each record.
    local limit = process.preset() == "asan" and math.huge or 16 * 1024
    assert.is_true(grown < limit, grown .. " KiB")
    client:close()
    local up = open "/raw/count"
    local piece = ("x"):rep(1024 * 1024)
    for _ = 1, 32 do up:send(piece) end
    up:half_close()
    assert.equal(tostring(32 * 1024 * 1024), (up:read_all()))
  end)

  it("lets nothing of the client's go upstream before it is open", function()
    local client = g:connect()
    client:send(gateway.head("GET", "/raw/late", ASK) .. "too early")
    local head = client:head()
    assert.same({ 101, "0" }, { head.status, head.headers["x-early"] })
    assert.equal("too early", client:read(9))
    client:close()
  end)

  it("is an ordinary response when the upstream refuses, and the connection goes on", function()
    local client, head = open "/raw/refuse"
    assert.equal(403, head.status)
    assert.equal("no", client:read(2))
    client:send(gateway.head("GET", "/raw/refuse", ASK))
    assert.equal(403, client:response().status)
    client:close()
    for _, path in ipairs { "/wrong", "/bare", "/framed" } do
      local r = g:get("/raw" .. path, { Connection = "Upgrade, close", Upgrade = "websocket" })
      assert.same({ 502, "protocol" }, { r.status, json.decode(r.body).kind }, path)
    end
  end)

  it("ends in good order when it idles for too long", function()
    local client = open "/quick/echo"
    assert.equal("ping", client:send "ping":read(4))
    local bytes, how = client:read_all()
    assert.same({ "", "closed" }, { bytes, how })
  end)

  it("carries real WebSockets, and keeps them open through reloads", function()
    local url = ("ws://127.0.0.1:%d/ws/x"):format(g.port)
    local talk = python("spec/support/tunnel.py", "talk", url, "20")
    assert.equal(0, talk:wait(30), talk:stderr())
    assert.truthy(talk:stdout():find "ok 20")
    local hold = python("spec/support/tunnel.py", "hold", url, "20")
    hold:line "open()"
    for round = 1, 5 do
      assert.equal("live", g:reload({ (SCRIPT:gsub("%$%(version%)", tostring(round))) }).result)
      hold:signal "USR1"
      hold:line(("alive %d\n"):format(round))
    end
    hold:kill()
  end)

  local function refused(path)
    local r = g:get(path, { Connection = "Upgrade, close", Upgrade = "websocket" })
    return r.status, json.decode(r.body)
  end

  it("is not opened to whoever is not believed, or does not speak TLS", function()
    for path, what in pairs {
      ["/stranger/echo"] = "its certificate is not good: self-signed certificate",
      ["/misnamed/x"] = "its certificate is not good: hostname mismatch",
      ["/plain/echo"] = "it does not speak TLS",
    } do
      local status, err = refused(path)
      assert.same({ 502, "tls" }, { status, err.kind }, path)
      assert.truthy(err.message:find(what, 1, true), err.message)
    end
  end)

  it("gives the handshake the time that connecting has", function()
    local status, err = refused "/silent/x"
    assert.same({ 504, "timeout" }, { status, err.kind })
    assert.truthy(err.message:find("no end of the TLS handshake within 200 ms", 1, true),
      err.message)
  end)

  it("tells an end from a connection that was cut off", function()
    local switch = "send:HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
      .. "Upgrade: websocket\r\n\r\nabc"
    for last, why in pairs { close = "ok", cut = "upstream_reset" } do
      local client = g:connect()
      client:send(gateway.head("GET", "/cut/" .. last, { Connection = "Upgrade",
        Upgrade = "websocket", ["X-Path"] = origin.target { switch, last },
        ["X-Request-ID"] = "tunnel-" .. last }))
      assert.equal(101, client:head().status)
      local bytes, how = client:read_all()
      assert.same({ "abc", last == "close" and "closed" or "reset" }, { bytes, how })
      client:close()
      assert.equal(why, g:wait_log("access", { request_id = "tunnel-" .. last }).why)
    end
  end)

  it("begins with the client's name before TLS, and goes to Unix sockets", function()
    local more = { Connection = "Upgrade, close", Upgrade = "websocket" }
    local seen = json.decode(g:get("/proxied/ok", more).body)
    assert.truthy(seen.head:find("Upgrade: websocket", 1, true), seen.head)
    local preamble = seen.preamble:gsub("..", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    assert.matches("^PROXY TCP4 127%.0%.0%.1 127%.0%.0%.1 %d+ " .. g.port .. "\r\n$", preamble)
    seen = json.decode(g:get("/socket/ok", more).body)
    assert.truthy(seen.head:find("Upgrade: websocket", 1, true), seen.head)
  end)
end)
