--- gRPC through weir: a real client and a real server (python3-grpcio), unary calls and streams
--- both ways, statuses, metadata, deadlines, cancellation.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local process = require "spec.support.process"

local MAIN = [[
  local weir = require "weir"
  local pair = { { cert = "$(cert)", key = "$(key)" } }
  weir.listen "127.0.0.1:$(port)"
  weir.listen("127.0.0.1:$(secure)", { tls = { certificates = pair } })
  local plain = weir.upstream("plain", { endpoints = { "http://127.0.0.1:$(plain)" },
    http2 = true })
  local tls = weir.upstream("tls", { endpoints = { "https://127.0.0.1:$(tls)" }, http2 = true,
    tls = { ca = "$(ca)", server_name = "localhost" } })
  local old = weir.upstream("old", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local gone = weir.upstream("gone", { endpoints = { "http://127.0.0.1:1" }, http2 = true,
    outlier = false })
  local function target(req)
    if req.headers["x-route"] == "gone" then return gone end
    return req.scheme == "https" and tls or plain
  end
  weir.route("POST /spec.Echo/Left", { deadline = "30s" }, function(req)
    return target(req):forward(req)
  end)
  weir.route("POST /spec.Echo/:method", function(req) return target(req):forward(req) end)
  weir.route("POST /old.Echo/:method", function(req)
    return old:forward(req, { path = "/plan/" .. req.params.method })
  end)
  for name, http2 in pairs { yes = true, no = false } do
    local url = name .. ".secure"
    local up = weir.upstream(name, { endpoints = { "https://127.0.0.1:$(secure)" },
      http2 = http2, tls = { ca = "$(ca)", server_name = name .. ".test" } })
    weir.route("GET /" .. name, function(req) return up:forward(req, { path = "/" .. url }) end)
    weir.route("GET /" .. url, function() return "seen" end)
  end
  local known = weir.upstream("known", { endpoints = { "http://127.0.0.1:$(port)" }, http2 = true,
    health = { path = "/known.plain", interval = "100ms" } })
  weir.route("GET /known", function(req) return known:forward(req, { path = "/known.plain" }) end)
  weir.route("GET /known.plain", function() return "seen" end)
  weir.route("POST /gone.Echo/:method", function(req) return gone:forward(req) end)
  weir.route("POST /limited.Echo/:method", function()
    return nil, weir.error("limited", "enough")
  end)
  weir.route("POST /told.Echo/:method", function()
    return nil, weir.error("invalid", "caf\195\169: 100% \1")
  end)
]]

-- A message as gRPC frames it.
local function message(text)
  return "\0\0\0\0" .. string.char(#text) .. text
end

describe("gRPC", function()
  local folder, ca, plain, tls, o, g

  local function serve(...)
    return process.spawn { "/usr/bin/python3", "spec/support/grpc_peer.py", "serve", ... }
  end

  setup(function()
    folder = certificates.new()
    ca = folder:authority "root"
    local a = folder:make("a", { san = "DNS:localhost,DNS:yes.test,DNS:no.test", by = ca })
    plain, tls, o = serve(), serve(a.cert, a.key), origin.start()
    g = gateway.start { MAIN, workers = 1, cert = a.cert, key = a.key, ca = ca.cert,
      secure = ports.free(), plain = plain:line "port (%d+)", tls = tls:line "port (%d+)",
      origin = o.port }
  end)

  teardown(function()
    g:expect "endpoint.transition" -- weir checks itself, and its listener closes first
    g:expect "upstream.panic"
    g:stop()
    plain:kill()
    tls:kill()
    o:kill()
    folder:remove()
  end)

  -- Runs cases with the real client; one result each.
  local function call(words)
    local command = { "/usr/bin/python3", "spec/support/grpc_peer.py", "call" }
    for _, word in ipairs(words) do command[#command + 1] = word end
    local client = process.spawn(command)
    assert.equal(0, client:wait(120), client:stderr())
    local results = {}
    for line in client:stdout():gmatch "[^\n]+" do results[#results + 1] = json.decode(line) end
    return results
  end

  local sides = {
    { "in the clear, to an upstream of prior knowledge", function() return { g.port } end },
    { "over TLS, to an upstream over TLS", function()
      return { "--tls", ca.cert, "localhost", g.vars.secure }
    end },
  }
  for _, side in ipairs(sides) do
    describe(side[1], function()
      local function run(...)
        local words = side[2]()
        for _, case in ipairs { ... } do words[#words + 1] = case end
        return call(words)
      end

      it("answers unary calls, with metadata before and behind", function()
        local one, big = unpack(run("unary=hello", "big=1000000"))
        assert.equal("hello", one.reply)
        assert.equal("me", one.initial["x-told"])
        assert.same({ ["x-end"] = "me", ["x-bytes-bin"] = "0001ff" }, one.trailing)
        assert.is_true(big.same)
      end)

      it("streams messages down, up, and both ways in turn", function()
        local down, none, up, both = unpack(run("down=200", "down=0", "up=50", "both=100"))
        assert.equal(200, down.count)
        assert.equal("message 199", down.last)
        assert.equal("me", down.trailing["x-end"])
        assert.equal(0, none.count)
        assert.equal("50 1225", up.reply)
        assert.is_true(both.in_order)
      end)

      it("passes the server's statuses, at once and behind messages", function()
        local fail, late = unpack(run("fail=5 not here", "late"))
        assert.same({ "NOT_FOUND", "not here" }, { fail.code, fail.details })
        assert.same({ "one", "two" }, late.got)
        assert.same({ "DATA_LOSS", "there is no more" }, { late.code, late.details })
      end)

      it("ends a call that the server gives up while the client still sends", function()
        for _, early in ipairs(run("early", "early", "early")) do
          assert.same({ "PERMISSION_DENIED", "not you" }, { early.code, early.details })
        end
      end)

      it("tells the server what is left of the deadline, the client's or the route's", function()
        local own, routes = unpack(run("left=9.5", "left=60"))
        -- gRPC writes timeouts from 1 s on in units of 10 ms, rounded up.
        assert.is_true(tonumber(own.left) <= 9510 and tonumber(own.left) > 0, own.left)
        assert.is_true(tonumber(routes.left) <= 30000 and tonumber(routes.left) > 9510, routes.left)
      end)

      it("cancels the server's call with the client's", function()
        local hang, cancelled = unpack(run("hang=1", "cancelled=1"))
        assert.equal("DEADLINE_EXCEEDED", hang.code)
        assert.is_true(cancelled.count >= 1)
      end)
    end)
  end

  it("ends with a status where the gateway has to answer", function()
    local gone, lost, limited = unpack(call { g.port, "at=gone.Echo/Unary", "at=lost.Echo/Unary",
      "at=limited.Echo/Unary" })
    assert.equal("UNAVAILABLE", gone.code, json.encode(gone))
    assert.truthy(gone.details:find("127.0.0.1:1", 1, true), gone.details)
    assert.same({ "UNIMPLEMENTED", "no route has this path" }, { lost.code, lost.details })
    assert.equal("RESOURCE_EXHAUSTED", limited.code, json.encode(limited))
    -- Percent-encoded on the wire, and what it was for who reads it.
    assert.equal("caf\195\169: 100% \1", call({ g.port, "at=told.Echo/Unary" })[1].details)
  end)

  it("ends a call of anything else with problem+json", function()
    for _, type in ipairs { "application/json", "application/grpc-web", "application/grpcx" } do
      local r = g:request("POST", "/lost.Echo/Unary", { ["Content-Type"] = type }, "{}")
      assert.same({ 404, "application/problem+json" }, { r.status, r.headers["content-type"] })
    end
    for _, type in ipairs { "application/grpc", "Application/GRPC+proto", "application/grpc;a" } do
      local r = g:request("POST", "/lost.Echo/Unary", { ["Content-Type"] = type }, "{}")
      assert.same({ 200, "12" }, { r.status, r.headers["grpc-status"] })
    end
  end)

  it("is what http2 of an upstream is for: by prior knowledge, by ALPN, or not at all", function()
    for name, version in pairs { ["/yes"] = "2", ["/no"] = "1.1", ["/known"] = "2" } do
      assert.equal("seen", g:get(name).body)
      local path = name == "/known" and "/known.plain" or name .. ".secure"
      assert.equal(version, g:wait_log("access", { path = path }).version, name)
    end
    -- Its health checks speak it too.
    for _, line in ipairs(g:log("access", { path = "/known.plain" })) do
      assert.equal("2", line.version)
    end
    local code, err = gateway.fail_to_start { [[
      local weir = require "weir"
      weir.upstream("up", { endpoints = { "http://127.0.0.1:1" }, http2 = true, upgrade = true })
    ]] }
    assert.equal(78, code)
    assert.truthy(err:find("main.lua:2: upstream 'up': upgrade is HTTP/1.1's, and http2 is true", 1,
      true), err)
  end)

  it("goes to an upstream of HTTP/1.1 that has trailers", function()
    local chunk = message "hi"
    o:plan("Unary", { { "send:HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
      .. "Transfer-Encoding: chunked\r\n\r\n7\r\n" .. chunk
      .. "\r\n0\r\ngrpc-status: 0\r\nx-end: me\r\n\r\n" } })
    o:plan("Fail", { { "send:HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n"
      .. "grpc-status: 7\r\ngrpc-message: no\r\nContent-Length: 0\r\n\r\n" } })
    local ok, fail = unpack(call { g.port, "at=old.Echo/Unary", "at=old.Echo/Fail" })
    assert.equal("hi", ok.reply, json.encode(ok))
    assert.equal("me", ok.trailing["x-end"])
    assert.same({ "PERMISSION_DENIED", "no" }, { fail.code, fail.details })
    local head = o:seen("Unary")[1]
    assert.truthy(head:find("\r\nTE: trailers\r\n", 1, true), head)
    -- It had come whole, so its length is known.
    assert.truthy(head:find("\r\nContent-Length: 8\r\n", 1, true), head)
  end)
end)
