--- PROXY headers to upstreams: who the client is, byte for byte, and whose connections are whose.
local gateway = require "spec.support.gateway"
local h2 = require "spec.support.h2"
local json = require "cjson"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local UNKNOWN = "PROXY UNKNOWN\r\n"
local LOCAL = SIGNATURE .. "\32\0\0\0"

local function port_bytes(port)
  return string.char(math.floor(port / 256), port % 256)
end

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.listen "[::1]:$(six)"
  weir.listen "[::]:$(dual)"
  weir.listen "unix:$(path)"
  weir.listen("127.0.0.1:$(proxied)", { proxy_protocol = true })
  weir.listen("127.0.0.1:$(behind)", { proxy_protocol = true })
  weir.listen("unix:$(path).behind", { proxy_protocol = { from = { "unix" } } })
  local function serve(name, url, version, more)
    local o = { endpoints = { url }, proxy_protocol = version }
    for key, value in pairs(more or {}) do o[key] = value end
    local up = weir.upstream(name, o)
    weir.route("/" .. name, function(req)
      return up:forward(req, { path = "/ok" })
    end)
    weir.route("/" .. name .. "/own", function() return up:get "/ok" end)
  end
  serve("one", "http://127.0.0.1:$(origin)", "v1")
  serve("two", "http://127.0.0.1:$(origin)", "v2")
  serve("secure", "https://127.0.0.1:$(secure)", "v2", { tls = { ca = "$(ca)",
    server_name = "origin.test" } })
  serve("checked", "http://127.0.0.1:$(origin)", "v2", {
    health = { path = "/plan/checked", interval = "100ms" } })
  serve("nginx", "http://127.0.0.1:$(nginx)", "v1")
  serve("nginx2", "http://127.0.0.1:$(nginx)", "v2")
  serve("weir", "http://127.0.0.1:$(behind)", "v2")
  serve("weir1", "http://127.0.0.1:$(behind)", "v1")
  serve("socket", "http://unix:$(path).behind", "v2")
  weir.route("/ok", function(req) return weir.json(200, { client = req.client }) end)
  local tunnel = weir.upstream("tunnel", { endpoints = { "http://127.0.0.1:$(origin)" },
    proxy_protocol = "v1", upgrade = true })
  weir.route("/tunnel", function(req)
    return tunnel:forward(req, { path = "/plan/tunnel" })
  end)
]]

local NGINX = [[
  daemon off; master_process off; pid DIR/nginx.pid; error_log stderr error;
  events { worker_connections 64; }
  http {
    access_log off; client_body_temp_path DIR/b; proxy_temp_path DIR/p;
    fastcgi_temp_path DIR/f; uwsgi_temp_path DIR/u; scgi_temp_path DIR/s;
    server {
      listen 127.0.0.1:PORT proxy_protocol;
      location / { return 200
        "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $connection"; }
    }
  }]]

describe("a PROXY header to an upstream", function()
  local g, dir, origin, secure, nginx, at

  local function spawn_origin(...)
    return process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--proxied", ... }
  end

  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir -m 700 " .. dir) == 0)
    origin, secure = spawn_origin(), spawn_origin("--tls", dir)
    at = {}
    for _, name in ipairs { "six", "dual", "proxied", "behind", "nginx" } do
      at[name] = ports.free()
    end
    local file = io.open(dir .. "/nginx.conf", "w")
    file:write((NGINX:gsub("DIR", dir):gsub("PORT", at.nginx)))
    file:close()
    nginx = process.spawn { "/usr/sbin/nginx", "-p", dir, "-c", dir .. "/nginx.conf" }
    wait.for_("nginx to listen", function() return pcall(raw.connect, at.nginx) end)
    local options = { MAIN, workers = 1, path = dir .. "/weir.sock",
      ca = secure:line "cert (%S+)", secure = secure:line "port (%d+)",
      origin = origin:line "port (%d+)" }
    for name, port in pairs(at) do options[name] = port end
    g = gateway.start(options)
  end)

  teardown(function()
    g:stop()
    origin:kill()
    secure:kill()
    nginx:kill()
    os.execute("rm -r " .. dir)
  end)

  local function ask(client, path)
    local r = client:send(gateway.head("GET", path)):response()
    assert.equal(200, r.status, r.body)
    return r.body
  end

  local function account(client, path)
    local seen = json.decode(ask(client, path))
    seen.preamble = seen.preamble:gsub("..", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    return seen
  end

  local function connect(port, options)
    local client = raw.connect(port or g.port, options)
    local _, from = client.sock:getsockname()
    return client, tonumber(from)
  end

  it("names a client of IPv4 and the address that it came to", function()
    local client, from = connect(nil, { from = "127.0.0.3" })
    local line = ("PROXY TCP4 127.0.0.3 127.0.0.1 %d %d\r\n"):format(from, g.port)
    assert.equal(line, account(client, "/one").preamble)
    assert.equal(SIGNATURE .. "\33\17\0\12\127\0\0\3\127\0\0\1" .. port_bytes(from)
      .. port_bytes(g.port), account(client, "/two").preamble)
    client:close()
  end)

  it("names a client of IPv6", function()
    local client, from = connect(at.six, { host = "::1" })
    local one = ("\0"):rep(15) .. "\1"
    assert.equal(("PROXY TCP6 ::1 ::1 %d %d\r\n"):format(from, at.six),
      account(client, "/one").preamble)
    assert.equal(SIGNATURE .. "\33\33\0\36" .. one .. one .. port_bytes(from)
      .. port_bytes(at.six), account(client, "/two").preamble)
    client:close()
  end)

  it("calls a client of IPv4 so at a dual-stack listener, too", function()
    local client, from = connect(at.dual)
    assert.equal(("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n"):format(from, at.dual),
      account(client, "/one").preamble)
    client:close()
  end)

  it("says of a client at a Unix socket what its version can", function()
    local client = raw.connect(dir .. "/weir.sock")
    assert.equal(UNKNOWN, account(client, "/one").preamble)
    local path = dir .. "/weir.sock"
    assert.equal(SIGNATURE .. "\33\49\0\216" .. ("\0"):rep(108) .. path
      .. ("\0"):rep(108 - #path), account(client, "/two").preamble)
    client:close()
  end)

  it("passes on what another proxy said of its client, both addresses", function()
    local line = "PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n"
    local client = raw.connect(at.proxied)
    client:send(line)
    assert.equal(line, account(client, "/one").preamble)
    client:close()
    local from
    client, from = connect(at.proxied)
    client:send(UNKNOWN)
    assert.equal(("PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n"):format(from, at.proxied),
      account(client, "/one").preamble)
    client:close()
  end)

  it("says that there is no client where there is none", function()
    local client = connect()
    assert.equal(UNKNOWN, account(client, "/one/own").preamble)
    assert.equal(LOCAL, account(client, "/two/own").preamble)
    client:close()
    g:expect "endpoint.transition"
    g:expect "upstream.panic"
    -- A check that said nothing, or not first, would not have got a status.
    local line = g:wait_log("endpoint.transition", { upstream = "checked", to = "unhealthy" })
    assert.equal("refused", line.cause)
  end)

  it("stands before TLS", function()
    local client, from = connect()
    assert.equal(SIGNATURE .. "\33\17\0\12\127\0\0\1\127\0\0\1" .. port_bytes(from)
      .. port_bytes(g.port), account(client, "/secure").preamble)
    client:close()
  end)

  it("makes a connection the client's own, for all its requests and nobody else's", function()
    local ada, ben = connect(), connect()
    local first = account(ada, "/two").connection
    for _ = 1, 3 do
      local other = account(ben, "/two").connection
      assert.not_equal(first, other)
      assert.equal(first, account(ada, "/two").connection)
      assert.equal(other, account(ben, "/two").connection)
    end
    -- Over TLS libcurl cannot tell whose it is: each request has its own.
    first = account(ada, "/secure").connection
    assert.not_equal(first, account(ada, "/secure").connection)
    ada:close()
    ben:close()
  end)

  it("names the client of each stream of an HTTP/2 connection", function()
    local text = h2.command("curl -s --http2-prior-knowledge --local-port 20000-30000 "
      .. "-w '%%{local_port}' http://127.0.0.1:%d/one", g.port)
    local body, from = text:match "^({.*})(%d+)$"
    local line = json.decode(body).preamble:gsub("..", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    assert.equal(("PROXY TCP4 127.0.0.1 127.0.0.1 %s %d\r\n"):format(from, g.port), line)
  end)

  it("is what nginx reads", function()
    local client, from = connect(nil, { from = "127.0.0.4" })
    for _, path in ipairs { "/nginx", "/nginx2" } do
      local expected = ("127.0.0.4 %d 127.0.0.1 "):format(from)
      local first = ask(client, path)
      assert.equal(expected, first:match "^(.- .- .- )")
      assert.equal(first, ask(client, path))
    end
    client:close()
  end)

  it("is what weir reads, over TCP and at a Unix socket", function()
    local client = connect(nil, { from = "127.0.0.5" })
    for _, path in ipairs { "/weir", "/weir1", "/socket" } do
      assert.equal("127.0.0.5", json.decode(ask(client, path)).client)
    end
    client:close()
  end)

  it("stands before a tunnel's request", function()
    local client = connect()
    client:send(gateway.head("GET", "/tunnel", { Connection = "Upgrade", Upgrade = "websocket" }))
    -- The origin has no plan: it answers 599, having read the header.
    assert.equal(599, client:response().status)
    client:close()
  end)

  it("is refused in another version", function()
    local code, err = gateway.fail_to_start { [[
      local weir = require "weir"
      weir.upstream("up", { endpoints = { "http://127.0.0.1:1" }, proxy_protocol = "v3" })
    ]] }
    assert.equal(78, code)
    assert.truthy(err:find("main.lua:2: upstream: option 'proxy_protocol' must be one of 'v1', "
      .. "'v2'", 1, true), err)
  end)
end)
