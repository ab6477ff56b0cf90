local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

local MB = 1024 * 1024

describe("forwarding", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local prefixed = weir.upstream("prefixed",
        { endpoints = { "http://127.0.0.1:$(origin)/base" } })
      local named = weir.upstream("named", { endpoints = { "http://127.0.0.1:$(origin)" },
        host = "client" })
      weir.route("/prefixed/*rest", function(req) return prefixed:forward(req) end)
      weir.route("/named/*rest", function(req) return named:forward(req) end)
      weir.route("GET /twice/*rest", function(req)
        local r, err = up:forward(req, { path = "/a?b=c" })
        if not r then return nil, err end
        r.headers["X-Mine"] = "1"
        local framed = pcall(function() r.headers["Connection"] = "X-Mine" end)
        r.headers["X-Framed"] = tostring(framed)
        r.status = 203
        return r
      end)
      weir.route("/two-bodies", { deadline = "2s" }, function(req)
        return weir.race {
          function() return up:forward(req) end,
          function() return up:forward(req) end,
        }
      end)
      weir.route("/two-texts", { deadline = "2s" }, function(req)
        local all, err = weir.all { function() return req:text() end,
          function() return req:text() end }
        if not all then return nil, err end
        return all[1] .. all[2]
      end)
      weir.route("/*rest", function(req) return up:forward(req) end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function seen(r)
    assert.equal(200, r.status, r.body)
    local account = json.decode(r.body)
    local fields = {}
    for name, value in account.head:gmatch "\r\n([^:\r\n]+): ?([^\r\n]*)"
      do fields[name:lower()] = value end
    return fields, account
  end

  it("passes end-to-end fields, in the client's spelling and order", function()
    local _, account = seen(g:get("/x?q=1", { ["X-Custom"] = "a", Accept = "text/*" }))
    assert.is_truthy(account.head:find("GET /x?q=1 HTTP/1.1\r\n", 1, true))
    assert.is_truthy(account.head:find("\r\nX-Custom: a\r\n", 1, true))
    assert.is_truthy(account.head:find("\r\nAccept: text/*\r\n", 1, true))
  end)

  it("drops hop-by-hop fields and what Connection names", function()
    local fields = seen(g:get("/x", {
      Connection = "close, X-Hop", ["X-Hop"] = "1", ["Keep-Alive"] = "timeout=5", TE = "deflate",
      Upgrade = "websocket", ["Proxy-Authorization"] = "x", ["Proxy-Connection"] = "close",
    }))
    for _, name in ipairs { "x-hop", "keep-alive", "te", "upgrade", "proxy-authorization",
      "proxy-connection" } do
      assert.is_nil(fields[name], name)
    end
  end)

  it("says who asked, in its own words", function()
    local fields = seen(g:get("/x", {
      Host = "shop.example", ["X-Forwarded-For"] = "6.6.6.6", Forwarded = "for=6.6.6.6",
        ["X-Real-IP"] = "6.6.6.6",
    }))
    assert.equal("127.0.0.1", fields["x-forwarded-for"])
    assert.equal("http", fields["x-forwarded-proto"])
    assert.equal("shop.example", fields["x-forwarded-host"])
    assert.is_nil(fields.forwarded)
    assert.is_nil(fields["x-real-ip"])
    assert.is_truthy(fields.via:find "weir")
    assert.equal("127.0.0.1:" .. o.port, fields.host)
  end)

  it("gives the same request id to upstream, client and log", function()
    local r = g:get "/x"
    local fields = seen(r)
    assert.equal(fields["x-request-id"], r.headers["x-request-id"])
    g:wait_log("access", { request_id = fields["x-request-id"] })
    assert.equal(1, #g:log("access", { request_id = fields["x-request-id"] }))
  end)

  it("appends to Via, and leaves Via in the response", function()
    local r = g:get("/x", { Via = "1.0 fred" })
    assert.is_truthy(seen(r).via:find "^1.0 fred, 1.1 weir")
    assert.is_truthy(r.headers.via)
  end)

  it("bears the client's host when asked to", function()
    assert.equal("shop.example", seen(g:get("/named/x", { Host = "shop.example" })).host)
  end)

  it("puts an endpoint's path before the request's", function()
    local _, account = seen(g:get "/prefixed/x?y")
    assert.is_truthy(account.head:find("GET /base/prefixed/x?y HTTP/1.1", 1, true))
  end)

  it("lets a policy change path, status and fields but not framing", function()
    local r = g:get "/twice/x"
    assert.equal(203, r.status)
    assert.equal("1", r.headers["x-mine"])
    assert.equal("false", r.headers["x-framed"])
    assert.equal("close", r.headers.connection)
    assert.is_truthy(json.decode(r.body).head:find("GET /a?b=c HTTP/1.1", 1, true))
  end)

  it("sends an absolute target on in origin form", function()
    local c = g:connect()
    c:send("GET http://shop.example/x?y=1 HTTP/1.1\r\nHost: shop.example\r\n"
      .. "Connection: close\r\n\r\n")
    local _, account = seen(c:response())
    assert.is_truthy(account.head:find("GET /x?y=1 HTTP/1.1", 1, true))
    c:close()
  end)

  it("sends bodies on, small and large, with a length and chunked", function()
    for _, size in ipairs { 1, 1000, 65536, 65537, 3 * MB } do
      local _, account = seen(g:request("POST", "/x", nil, ("b"):rep(size)))
      assert.equal(size, account.body_bytes)
    end
    local _, account = seen(g:request("PUT", "/x", { ["Transfer-Encoding"] = "chunked" },
      ("1000\r\n" .. ("c"):rep(4096) .. "\r\n"):rep(50) .. "0\r\n\r\n"))
    assert.equal(50 * 4096, account.body_bytes)
  end)

  it("answers Expect: 100-continue when the body is wanted", function()
    local c = g:begin("POST", "/x", { Expect = "100-continue", ["Content-Length"] = "5",
      Connection = "close" })
    assert.equal(100, c:head().status)
    c:send "hello"
    local fields, account = seen(c:response())
    assert.equal("hello", account.body)
    assert.is_nil(fields.expect)
    c:close()
  end)

  it("keeps many connections of clients on few of its own", function()
    local before = o:counts().connections
    local c = g:connect()
    for _ = 1, 50 do
      c:send(gateway.head("GET", "/x"))
      assert.equal(200, c:response().status)
    end
    c:close()
    assert.is_true(o:counts().connections - before <= 3)
  end)

  it("streams a response before it is complete", function()
    local c = g:begin("GET", origin.target {
      "send:HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n", "wait:300",
        "send:4\r\nlast\r\n0\r\n\r\n" })
    c:head()
    assert.is_truthy(c:read_until("first"))
    assert.is_nil(c.buffer:find "last")
    assert.is_truthy(c:read_until "last")
    c:close()
  end)

  it("streams a request before it is complete", function()
    local c = g:begin("POST", "/run?early;"
      .. "send:HTTP%2F1.1%20200%20OK%0D%0AContent-Length%3A%203%0D%0A%0D%0Ayes",
      { ["Transfer-Encoding"] = "chunked" })
    c:send "5\r\nhello\r\n"
    local r = c:response()
    assert.equal(200, r.status)
    assert.equal("yes", r.body)
    c:close()
  end)

  it("passes a body without length until the upstream closes", function()
    local r = g:get(origin.target { "send:HTTP/1.1 200 OK\r\n\r\nsome text", "close" })
    assert.equal("some text", r.body)
  end)

  it("answers HEAD with the upstream's length and no body", function()
    local r = g:request("HEAD",
      origin.target { "send:HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n" })
    assert.equal(200, r.status)
    assert.equal("1234", r.headers["content-length"])
  end)

  it("passes 204 and 304 without a body", function()
    assert.equal(204, g:get(origin.target { "send:HTTP/1.1 204 No Content\r\n\r\n" }).status)
    local r = g:get(origin.target { "send:HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n" })
    assert.equal(304, r.status)
    assert.equal('"x"', r.headers.etag)
  end)

  it("consumes interim responses", function()
    local r = g:get(origin.target { "send:HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
      origin.answer("200 OK", "done") })
    assert.equal(200, r.status)
    assert.equal("done", r.body)
  end)

  it("sends one request's body twice side by side when it is small", function()
    local r = g:request("POST", "/two-bodies", nil, "hello")
    assert.equal("hello", json.decode(r.body).body)
  end)

  it("sends one request's body once when it is large", function()
    local r = g:request("POST", "/two-bodies", nil, ("x"):rep(200000))
    assert.equal(200000, json.decode(r.body).body_bytes)
  end)

  it("gives one request's body to two tasks", function()
    local r = g:request("POST", "/two-texts", nil, "hello")
    assert.equal("hellohello", r.body)
    assert.equal(200, g:get("/x").status)
  end)

  it("holds a fast upstream back for a slow client, in bounded memory", function()
    local c = g:connect { receive_buffer = 8192 }
    c:send(gateway.head("GET", origin.target {
      "send:HTTP/1.1 200 OK\r\nContent-Length: 268435456\r\n\r\n", "zeros:268435456" }))
    c:head()
    c:skip(MB)
    local peak = 0
    for _, pid in ipairs(g:pids()) do
      local file = io.open("/proc/" .. pid .. "/status")
      local kb = tonumber(file:read("*a"):match "RssAnon:%s*(%d+)")
      file:close()
      peak = math.max(peak, kb)
    end
    assert.is_true(peak < 60 * 1024 or os.getenv "WEIR_PRESET" == "asan", peak .. " kB")
    assert.equal(200, g:get("/x").status)
    assert.equal(255 * MB, c:skip(255 * MB))
    c:close()
  end)

  it("holds a fast client back for a slow upstream, in bounded memory", function()
    local c = g:begin("POST", "/run?early;wait:500", { ["Content-Length"] = tostring(256 * MB) })
    c.sock:settimeout(0.4)
    local sent = c:try_send(("x"):rep(64 * MB))
    assert.is_true(sent < 32 * MB, sent .. " bytes went nowhere")
    c:reset()
    wait.for_("the upstream's connection to close", function()
      return g:metric("http_server_active_requests") == 0 end)
  end)
end)
