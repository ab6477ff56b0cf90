--- HTTP/2 through a whole weir: real clients in the clear and over TLS, forwarding, and the
--- trailers of gRPC.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local h2 = require "spec.support.h2"
local json = require "cjson"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

-- A gRPC answer as an HTTP/1.1 upstream gives it: chunks, and its status behind them.
local GRPC = "/run?send:HTTP/1.1%20200%20OK%0d%0aContent-Type:%20application/grpc%0d%0a"
  .. "Transfer-Encoding:%20chunked%0d%0a%0d%0a7%0d%0a%00%00%00%00%02hi%0d%0a0%0d%0a"
  .. "grpc-status:%200%0d%0agrpc-message:%20fine%0d%0aSet-Cookie:%20late=1%0d%0a%0d%0a"

describe("HTTP/2", function()
  local folder, ca, g, o

  setup(function()
    folder = certificates.new()
    ca = folder:authority "root"
    local a = folder:make("a", { san = "DNS:localhost,IP:127.0.0.1", by = ca })
    o = origin.start()
    g = gateway.start { origin = o.port, secure = ports.free(),
      old = ports.free(),
      cert = a.cert, key = a.key, [[
      local weir = require "weir"
      local pair = { { cert = "$(cert)", key = "$(key)" } }
      weir.listen "127.0.0.1:$(port)"
      weir.listen("127.0.0.1:$(secure)", { tls = { certificates = pair } })
      weir.listen("127.0.0.1:$(old)", { http2 = false })
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      weir.route("GET /hello", function() return "hello" end)
      weir.route("POST /count", function(req) return tostring(#req:text()) end)
      weir.route("GET /scheme", function(req) return req.scheme end)
      weir.route("POST /echo.Echo/Say", function(req)
        return up:forward(req, { path = "]] .. GRPC .. [[" })
      end)
      weir.route("/*rest", function(req) return up:forward(req) end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
    folder:remove()
  end)

  local function curl(arguments, ...)
    return h2.command("curl -s --cacert " .. ca.cert .. " " .. arguments, ...)
  end

  it("is spoken with curl by ALPN", function()
    local text = curl("-w ' %%{http_version} %%{http_code}' https://localhost:%d/scheme --resolve "
      .. "localhost:%d:127.0.0.1", g.vars.secure, g.vars.secure)
    assert.equal("https 2 200", text)
    text = curl("--http1.1 -w ' %%{http_version}' https://127.0.0.1:%d/hello", g.vars.secure)
    assert.equal("hello 1.1", text)
  end)

  it("is spoken in the clear to who begins with it, unless the listener does not", function()
    local text = curl("--http2-prior-knowledge -w ' %%{http_version}' http://127.0.0.1:%d/hello",
      g.port)
    assert.equal("hello 2", text)
    local _, code = curl("--http2-prior-knowledge http://127.0.0.1:%d/hello", g.vars.old)
    assert.not_equal(0, code)
    assert.equal(200, raw.once(g.vars.old, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").status)
  end)

  it("serves h2load over TLS and in the clear, 100 streams on each of 64 connections", function()
    for _, url in ipairs { "http://127.0.0.1:" .. g.port, "https://127.0.0.1:" .. g.vars.secure } do
      local text = h2.command("h2load -n 6400 -c 64 -m 100 %s/hello", url)
      assert.truthy(text:find("6400 succeeded, 0 failed, 0 errored, 0 timeout", 1, true), text)
    end
  end)

  it("forwards a request as HTTP/1.1 that says where it came from", function()
    local text = curl("--http2-prior-knowledge -H 'Cookie: a=1' -d hello "
      .. "'http://127.0.0.1:%d/ok?x=y'", g.port)
    local account = json.decode(text)
    assert.truthy(account.head:find("^POST /ok%?x=y HTTP/1.1\r\n"), account.head)
    assert.truthy(account.head:lower():find("\r\nvia: 2 weir\r\n", 1, true), account.head)
    assert.truthy(account.head:lower():find("\r\ncookie: a=1\r\n", 1, true), account.head)
    assert.equal(5, account.body_bytes, text)
  end)

  it("passes trailers on that follow a chunked body, as gRPC needs them", function()
    for _, options in ipairs { { port = g.port }, { port = g.vars.secure, tls = true } } do
      local s = h2.run(options.port, { "grpc" }, options)[1].streams["1"]
      assert.equal(200, s.status)
      assert.equal("application/grpc", s.headers["content-type"])
      assert.equal("\0\0\0\0\2hi", s.body)
      assert.same({ ["grpc-status"] = "0", ["grpc-message"] = "fine" }, s.trailers)
    end
  end)

  it("ends a request's trailers here, and its body is whole", function()
    for _ = 1, 2 do
      local s = h2.run(g.port, { "request_trailers=/ok" })[1].streams["1"]
      local account = json.decode(s.body)
      assert.equal("hello", account.body)
      assert.is_nil(account.head:lower():find("x-sum", 1, true), account.head)
      assert.is_nil(account.head:lower():find("\r\ntrailer:", 1, true), account.head)
    end
  end)

  it("passes them to a client of HTTP/1.1 that takes them, and to no other", function()
    local function ask(te)
      local c = raw.connect(g.port)
      c:send("POST /echo.Echo/Say HTTP/1.1\r\nHost: a\r\n" .. te .. "Connection: close\r\n"
        .. "Content-Length: 0\r\n\r\n")
      local bytes = c:read_all()
      c:close()
      return bytes
    end
    local tail = "\r\n0\r\ngrpc-status: 0\r\ngrpc-message: fine\r\n\r\n"
    assert.equal(tail, ask "TE: trailers\r\n":sub(-#tail))
    assert.equal("hi\r\n0\r\n\r\n", ask "":sub(-9))
  end)

  it("passes pieces of a response on when they come, not when something else happens", function()
    local chunk = "send:%d%%0d%%0a%s%%0d%%0a;until:%s;"
    local target = "/run?send:HTTP/1.1%20200%20OK%0d%0aTransfer-Encoding:%20chunked%0d%0a%0d%0a;"
      .. chunk:format(3, "one", "piece1") .. chunk:format(3, "two", "piece2")
      .. chunk:format(5, "three", "piece3") .. "send:0%0d%0a%0d%0a"
    local client = process.spawn { "/usr/bin/curl", "-sN", "--http2-prior-knowledge",
      "http://127.0.0.1:" .. g.port .. target }
    for i, expected in ipairs { "one", "onetwo", "onetwothree" } do
      wait.for_("piece " .. i, function()
        return client:stdout() == expected, client:stdout()
      end)
      o:release("piece" .. i)
    end
    assert.equal(0, client:wait(10))
  end)

  it("cancels the call of a stream that its client resets", function()
    h2.run(g.port, { "gone=/run?hang" })
    wait.for_("nothing to be under way", function()
      return g:metric "http_server_active_requests" == 0
    end)
  end)

  it("tells its version in the access log and the metrics, and counts floods", function()
    h2.run(g.port, { "ping_flood" })
    wait.for_("the flood to be counted", function()
      return g:metric("weir_server_h2_floods_total", 'reason="ping"') == 1
    end)
    assert.is_true(g:metric "weir_server_h2_connections_total" > 0)
    assert.equal("2", g:wait_log("access", { version = "2" }).version)
  end)
end)
