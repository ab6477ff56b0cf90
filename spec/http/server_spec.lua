--- The HTTP/1.1 server in raw bytes: spec/native/server_echo.c runs it with scripted handlers.
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local MIB = 1024 * 1024

describe("http server", function()
  local server, port
  local clients = {}

  local function start(...)
    server = process.spawn { process.program "server_echo", ... }
    port = server:line "port (%d+)"
  end

  local function connect(options)
    local c = raw.connect(port, options)
    clients[#clients + 1] = c
    return c
  end

  -- A request with a known id; `fields` are further lines, each with its CRLF.
  local function request(method, target, fields, body)
    return method .. " " .. target .. " HTTP/1.1\r\nHost: a\r\nX-Request-ID: id\r\n"
      .. (fields or "") .. "\r\n" .. (body or "")
  end

  local function get(target, fields) return request("GET", target, fields) end

  local function post(target, body)
    return request("POST", target, "Content-Length: " .. #body .. "\r\n", body)
  end

  -- The date is the one thing in a response that nobody can know.
  local function without_date(bytes)
    return (bytes:gsub("Date: %a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT\r\n", "Date: *\r\n"))
  end

  local function stat(name)
    return tonumber(raw.once(port, get "/stats").body:match(name .. "=(%d+)"))
  end

  local function is_still_open(c)
    return c:send(get "/hello"):response().status == 200
  end

  after_each(function()
    -- What lingers on the server's side would have it wait.
    for _, c in ipairs(clients) do c:close() end
    clients = {}
    server:finish()
  end)

  describe("framing a response", function()
    it("sends head and body of a small response in exactly these bytes", function()
      start()
      local c = connect()
      c:send(get "/hello")
      assert.equal("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: *\r\nX-Request-ID: id\r\n"
        .. "Content-Length: 5\r\n\r\nhello", without_date(c:response().bytes))
      assert.is_true(is_still_open(c))
    end)

    it("chunks a body of unknown length", function()
      start()
      local c = connect()
      c:send(get "/chunks")
      assert.equal("HTTP/1.1 200 OK\r\nDate: *\r\nX-Request-ID: id\r\n"
        .. "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n5\r\nthree\r\n0\r\n\r\n",
        without_date(c:response().bytes))
      assert.is_true(is_still_open(c))
    end)

    it("ends a body of unknown length with the connection for HTTP/1.0", function()
      start()
      local c = connect()
      c:send "GET /chunks HTTP/1.0\r\nX-Request-ID: id\r\nConnection: keep-alive\r\n\r\n"
      local bytes, how = c:read_all()
      assert.equal("HTTP/1.1 200 OK\r\nDate: *\r\nX-Request-ID: id\r\nConnection: close\r\n\r\n"
        .. "onethree", without_date(bytes))
      assert.equal("closed", how)
    end)

    local bodyless = {
      { "HEAD", "/hello", "200 OK", "Content-Length: 5\r\n", "keeps the length of GET" },
      { "HEAD", "/chunks", "200 OK", "", "announces no chunks" },
      { "GET", "/status?code=204", "204 No Content", "", "has no length" },
      { "GET", "/status?code=304", "304 Not Modified", "", "claims no length of its own" },
      { "GET", "/status?code=205", "205 Reset Content", "Content-Length: 0\r\n", "is empty" },
    }
    for _, case in ipairs(bodyless) do
      local method, target, status, framing, reason = unpack(case)
      it(("sends no body for %s %s, which %s"):format(method, target, reason), function()
        start()
        local c = connect()
        c:send(request(method, target))
        local bytes = without_date(c:response(true).bytes)
        local content_type = target == "/chunks" and "" or "Content-Type: text/plain\r\n"
        assert.equal("HTTP/1.1 " .. status .. "\r\n" .. content_type
          .. "Date: *\r\nX-Request-ID: id\r\n" .. framing .. "\r\n", bytes)
        c:send(get "/hello")
        assert.equal("hello", c:response().body)
      end)
    end

    it("lets no field from above split the response or touch its framing", function()
      start("--via", "weir", "--server", "weir")
      local r = raw.once(port, get "/fields")
      assert.equal("HTTP/1.1 200 OK\r\nX-Good: kept\r\nx-good: kept twice\r\n"
        .. "Date: *\r\nServer: above/1\r\nVia: 1.1 origin\r\nVia: 1.1 weir\r\nX-Request-ID: id\r\n"
        .. "Content-Length: 6\r\n\r\nfields", without_date(r.bytes))
    end)

    it("sends large pieces whole", function()
      start()
      for _, bytes in ipairs { 1, 16383, 16384, 65537, 3 * MIB } do
        local r = raw.once(port, get("/piece?bytes=" .. bytes))
        assert.equal(("p"):rep(bytes), r.body)
      end
    end)

    it("breaks off a body that stays shorter than promised", function()
      start()
      local c = connect()
      c:send(get "/short")
      local bytes = c:read_all()
      assert.truthy(bytes:find("Content-Length: 10", 1, true) or bytes == "")
      assert.falsy(bytes:find("four......", 1, false))
      server:line "end /short status=%d+ received=0 sent=%d+ complete=0"
    end)

    it("cuts a body that is longer than promised and closes", function()
      start()
      local c = connect()
      c:send(get "/excess")
      assert.equal("four", c:response().body)
      assert.equal("", (c:read_all()))
    end)
  end)

  describe("keeping a connection", function()
    local cases = {
      { "HTTP/1.1", "", true },
      { "HTTP/1.1", "Connection: close\r\n", false },
      { "HTTP/1.0", "", false },
      { "HTTP/1.0", "Connection: keep-alive\r\n", true },
    }
    for _, case in ipairs(cases) do
      local version, field, kept = unpack(case)
      it(("%s %s after %s with %q"):format(kept and "waits for" or "refuses", "another request",
        version, field), function()
        start()
        local c = connect()
        c:send("GET /hello " .. version .. "\r\nHost: a\r\n" .. field .. "\r\n")
        local r = c:response()
        assert.equal("hello", r.body)
        if kept then
          assert.equal(version == "HTTP/1.0" and "keep-alive" or nil, r.headers.connection)
          assert.is_true(is_still_open(c))
        else
          assert.equal("close", r.headers.connection)
          assert.same({ "", "closed" }, { c:read_all() })
        end
      end)
    end

    it("answers pipelined requests in order", function()
      start()
      local c = connect()
      c:send(get "/late?ms=20" .. get "/chunks" .. post("/echo", "abc") .. get "/nowhere")
      assert.equal("hello", c:response().body)
      assert.equal("onethree", c:response().body)
      assert.equal("abc", c:response().body)
      assert.equal(404, c:response().status)
    end)

    it("looks at the next head only when the exchange before has ended", function()
      start()
      local c = connect()
      c:send(get "/hold" .. get "/info" .. "BROKEN\r\n\r\n")
      wait.for_("the held request", function() return stat "active" == 2 end)
      assert.is_true(c:is_silent())
      assert.equal(0, stat "bad_requests")
      assert.equal("1", raw.once(port, get "/release").body)
      assert.equal("hello", c:response().body)
      assert.equal(200, c:response().status)
      assert.equal(400, c:response().status)
    end)

    it("reads ahead only a little while a request is being worked on", function()
      start()
      local c = connect { timeout = 0.3 }
      local before = server:rss()
      c:send(get "/hold")
      local many, sent = get("/hello"):rep(10000), 0
      while sent < 64 * MIB do
        local count, why = c:try_send(many)
        sent = sent + count
        if why then break end
      end
      assert.is_true(sent < 64 * MIB)
      assert.is_true(server:rss() - before < MIB)
      c:reset()
      server:line "gone /hold cancelled"
    end)

    it("takes a request that comes byte by byte", function()
      start()
      local c = connect()
      local bytes = request("POST", "/echo", "Transfer-Encoding: chunked\r\n",
        "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: t\r\n\r\n") .. get "/hello"
      for i = 1, #bytes do
        c:send(bytes:sub(i, i))
        if i % 8 == 0 then wait.pause(1) end
      end
      assert.equal("abcde", c:response().body)
      assert.equal("hello", c:response().body)
    end)
  end)

  describe("reading a request body", function()
    it("streams it through with its length", function()
      start()
      local c = connect()
      local piece = ("0123456789abcdef"):rep(4096)
      c:send(request("POST", "/echo", "Content-Length: " .. 16 * #piece .. "\r\n"))
      for _ = 1, 16 do c:send(piece) end
      local r = c:response()
      assert.equal(tostring(16 * #piece), r.headers["content-length"])
      assert.equal(piece:rep(16), r.body)
      assert.is_true(is_still_open(c))
    end)

    it("streams chunks through and drops extensions and trailers", function()
      start()
      local c = connect()
      c:send(request("POST", "/echo", "Transfer-Encoding: chunked\r\n",
        "4;ext=1\r\nwiki\r\nA\r\n0123456789\r\n0\r\nX-Trailer: dropped\r\n\r\n"))
      local r = c:response()
      assert.equal("wiki0123456789", r.body)
      assert.falsy(r.bytes:find("railer", 1, true))
      assert.is_true(is_still_open(c))
    end)

    it("tells of an end also when there is no body", function()
      start()
      assert.equal("0", raw.once(port, get "/count").body)
      assert.equal("0", raw.once(port, post("/count", "")).body)
    end)

    it("pauses while the layer above does", function()
      start()
      local c = connect()
      c:send(post("/slow-read", ("x"):rep(500000)))
      assert.equal("500000", c:response().body)
    end)

    it("sends 100 when the layer above first reads, not before", function()
      start()
      local c = connect()
      c:send(request("POST", "/read-on-release", "Content-Length: 3\r\nExpect: 100-continue\r\n"))
      wait.for_("the held request", function() return stat "active" == 2 end)
      assert.is_true(c:is_silent())
      raw.once(port, get "/release")
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", c:head().bytes)
      c:send "abc"
      assert.equal("3", c:response().body)
      assert.is_true(is_still_open(c))
    end)

    it("sends no 100 and closes when the answer comes first", function()
      start()
      local c = connect()
      c:send(request("POST", "/ignore-body", "Content-Length: 3\r\nExpect: 100-continue\r\n"))
      local r = c:response()
      assert.same({ 200, "close" }, { r.status, r.headers.connection })
      assert.same({ "", "closed" }, { c:read_all() })
    end)

    it("swallows a small body that nobody read and keeps the connection", function()
      start()
      local c = connect()
      c:send(post("/ignore-body", ("x"):rep(60000)) .. get "/info")
      assert.equal("hello", c:response().body)
      assert.equal(200, c:response().status)
      c:send(request("POST", "/ignore-body", "Transfer-Encoding: chunked\r\n"))
      assert.equal("hello", c:response().body)
      c:send("3\r\nabc\r\n0\r\n\r\n")
      assert.is_true(is_still_open(c))
    end)

    it("closes after a large unread body such that the client can read the answer", function()
      start()
      local c = connect()
      c:send(request("POST", "/ignore-body", "Content-Length: 900000\r\n", ("x"):rep(500000)))
      c:try_send(("x"):rep(300000))
      local r = c:response()
      assert.same({ "hello", "close" }, { r.body, r.headers.connection })
      assert.same({ "", "closed" }, { c:read_all() })
    end)

    it("closes after 64 KiB of an unread body whose length was not told", function()
      start()
      local c = connect()
      c:send(request("POST", "/ignore-body", "Transfer-Encoding: chunked\r\n"))
      assert.equal("hello", c:response().body)
      c:send("20000\r\n" .. ("x"):rep(0x20000) .. "\r\n0\r\n\r\n" .. get "/hello")
      assert.same({ "", "closed" }, { c:read_all() })
    end)

    local broken = {
      { "a size that is no number", "zz\r\n" },
      { "a chunk that is longer than it said", "3\r\nabcdef\r\n" },
      { "a bare LF", "3\nabc\n" },
    }
    for _, case in ipairs(broken) do
      it("tells the layer above of " .. case[1] .. " and answers 400", function()
        start()
        local c = connect()
        c:send(request("POST", "/count", "Transfer-Encoding: chunked\r\n", case[2]))
        local r = c:response()
        assert.same({ 400, "close" }, { r.status, r.headers.connection })
        assert.same({ "", "closed" }, { c:read_all() })
        server:line "gone /count invalid"
        server:line "end /count status=400"
      end)
    end

    it("breaks off when the body breaks its framing after the answer began", function()
      start()
      local c = connect()
      c:send(request("POST", "/echo", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\nzz\r\n"))
      local bytes = c:read_all()
      assert.falsy(bytes:find("0\r\n\r\n", 1, true))
      server:line "gone /echo invalid"
    end)

    it("refuses at once a body that is announced larger than allowed", function()
      start("--body-max", 1000)
      local c = connect()
      c:send(request("POST", "/count", "Content-Length: 1001\r\n"))
      local r = c:response()
      assert.same({ 413, "close" }, { r.status, r.headers.connection })
      assert.equal("1000", raw.once(port, post("/count", ("x"):rep(1000))).body)
    end)

    it("refuses a chunked body when it grows larger than allowed", function()
      start("--body-max", 1000)
      local c = connect()
      c:send(request("POST", "/count", "Transfer-Encoding: chunked\r\n",
        "3e8\r\n" .. ("x"):rep(1000) .. "\r\n1\r\nx\r\n"))
      assert.equal(413, c:response().status)
      server:line "gone /count too_large"
    end)
  end)

  describe("refusing a request", function()
    local refused = {
      { 400, "GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n", "two spaces" },
      { 400, "GET /hello HTTP/1.1\r\n\r\n", "no Host" },
      { 400, "GET /hello HTTP/1.1\nHost: a\n\n", "bare LF" },
      { 400, "GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", "space before the colon" },
      { 400, request("POST", "/", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
        "two framings" },
      { 501, request("POST", "/", "Transfer-Encoding: gzip, chunked\r\n"), "unknown coding" },
      { 505, "GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", "unknown version" },
      { 414, "GET /" .. ("a"):rep(9000) .. " HTTP/1.1\r\nHost: a\r\n\r\n", "long target" },
      { 431, "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("a"):rep(9000) .. "\r\n\r\n", "long field" },
      { 431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: a\r\n"):rep(200) .. "\r\n", "many fields" },
      { 431, get("/", ("X: " .. ("a"):rep(4000) .. "\r\n"):rep(9)), "large head" },
      { 400, "\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n", "two empty lines before" },
      { 400, "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n", "climbing path" },
      { 400, "GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", "hidden slash" },
      { 400, "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", "hidden NUL" },
    }
    for _, case in ipairs(refused) do
      local status, bytes, reason = unpack(case)
      it(("answers %d for %s, explains and closes"):format(status, reason), function()
        start()
        local c = connect()
        c:send(bytes)
        local r = c:response()
        assert.equal(status, r.status)
        assert.equal("application/problem+json", r.headers["content-type"])
        assert.equal("close", r.headers.connection)
        assert.truthy(r.body:match('^{"type":"about:blank","title":"[^"]+","status":' .. status
          .. ',"detail":"[^"]+","request_id":"%x+"}$'), r.body)
        assert.equal(r.body:match '"request_id":"(%x+)"', r.headers["x-request-id"])
        assert.same({ "", "closed" }, { c:read_all() })
      end)
    end

    it("skips one empty line before a request", function()
      start()
      assert.equal("hello", raw.once(port, "\r\n" .. get "/hello").body)
    end)

    it("says 400 to noise before a line has ended", function()
      start()
      local c = connect()
      c:send "\22\3\1\2\0\1\0\1\252\3\3"
      assert.equal(400, c:response().status)
    end)

    it("answers CONNECT and TRACE with 405 and goes on", function()
      start()
      local c = connect()
      c:send "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
      local r = c:response()
      assert.equal(405, r.status)
      assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", r.headers.allow)
      c:send(request("TRACE", "/hello"))
      assert.equal(405, c:response().status)
      assert.is_true(is_still_open(c))
    end)

    it("answers OPTIONS * by itself", function()
      start()
      local c = connect()
      c:send(request("OPTIONS", "*"))
      assert.equal("HTTP/1.1 204 No Content\r\n"
        .. "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\nDate: *\r\n"
        .. "X-Request-ID: id\r\n\r\n", without_date(c:response().bytes))
      assert.is_true(is_still_open(c))
    end)

    it("answers 508 to what came through this gateway more than three times", function()
      start("--via", "weir")
      local function via(fields) return raw.once(port, get("/hello", fields)) end
      assert.equal(200, via("Via: 1.1 weir, 1.0 weir (x)\r\nVia: 1.1 WEIR\r\n").status)
      assert.equal(200, via("Via: 1.1 weirdo, 1.1 a, 1.1 b, 1.1 weird\r\n").status)
      local r = via("Via: 1.1 weir, 1.1 weir\r\nVia: 1.1 x, 2 weir,HTTP/1.1 weir\r\n")
      assert.same({ 508, "1.1 weir" }, { r.status, r.headers.via })
    end)
  end)

  describe("request ids", function()
    local cases = {
      { "abc-123", true, "sane" },
      { ("x"):rep(128), true, "as long as allowed" },
      { ("x"):rep(129), false, "too long" },
      { "two words", false, "a space" },
      { "caf\195\169", false, "not ASCII" },
    }
    for _, case in ipairs(cases) do
      local id, kept, reason = unpack(case)
      it((kept and "keeps" or "replaces") .. " one that is " .. reason, function()
        start()
        local head = "GET /info HTTP/1.1\r\nHost: a\r\nX-Request-ID: " .. id .. "\r\n\r\n"
        local r = raw.once(port, head)
        local seen = r.body:match "id=([^\n]*)"
        assert.equal(seen, r.headers["x-request-id"])
        if kept then
          assert.equal(id, seen)
        else
          assert.truthy(seen:match("^" .. ("%x"):rep(32) .. "$"))
        end
      end)
    end

    it("makes a new one for each request", function()
      start()
      local a = raw.once(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").headers["x-request-id"]
      local b = raw.once(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").headers["x-request-id"]
      assert.are_not.equal(a, b)
    end)

    it("adds neither id nor Via on the admin side", function()
      start("--admin", "--via", "weir")
      local r = raw.once(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.same({ "Content-Type", "Date", "Content-Length" }, r.names)
    end)
  end)

  it("tells the layer above who asked for what", function()
    start()
    local c = connect()
    c:send "GET http://Example.COM:80/a/./b/../%7Ec HTTP/1.1\r\nHost: example.com\r\n\r\n"
    assert.equal(404, c:response().status)
    c:send "GET /./%69nfo?q=1 HTTP/1.1\r\nHost: Example.com:80\r\nX-Request-ID: i\r\n\r\n"
    local _, mine = c.sock:getsockname()
    assert.equal("path=/info\nhost=example.com\nclient=127.0.0.1\nport=" .. mine
      .. "\nscheme=http\nid=i\n", c:response().body)
  end)

  describe("limits of time", function()
    it("answers 408 to a head that is not whole in time, however it drips", function()
      start("--head-timeout", "300ms")
      local c = connect()
      c:send "GET / HTTP/1.1\r\nHost: a\r\n"
      while c:is_silent(0.02) do c:try_send "X: y\r\n" end
      local r = c:response()
      assert.same({ 408, "close" }, { r.status, r.headers.connection })
      c:half_close()
      c:read_all()
      assert.equal(1, stat "head_timeouts")
    end)

    it("closes without a word when a connection stays idle", function()
      start("--keep-alive-timeout", "200ms")
      local fresh = connect()
      local used = connect()
      used:send(get "/hello"):response()
      assert.same({ "", "closed" }, { fresh:read_all() })
      assert.same({ "", "closed" }, { used:read_all() })
    end)

    it("does not count the time that the layer above takes", function()
      start("--keep-alive-timeout", "50ms", "--body-timeout", "50ms", "--head-timeout", "50ms",
        "--send-timeout", "50ms")
      assert.equal("hello", raw.once(port, get "/late?ms=300").body)
    end)

    it("tells the layer above when a body stops coming, and answers 408", function()
      start("--body-timeout", "200ms")
      local c = connect()
      c:send(request("POST", "/count", "Content-Length: 10\r\n", "abc"))
      assert.equal(408, c:response().status)
      server:line "gone /count timeout"
      server:line "end /count status=408 received=3"
      assert.equal(1, stat "body_timeouts")
    end)

    it("breaks off when the client stops taking the response", function()
      start("--send-timeout", "200ms")
      local c = connect { receive_buffer = 4096 }
      c:send(get "/big?bytes=1000000000")
      server:line "gone /big timeout"
      server:line "end /big status=200 received=0 sent=%d+ complete=0"
      assert.equal(1, stat "send_timeouts")
      c:close()
    end)
  end)

  describe("a client that leaves", function()
    it("still gets its answer after FIN", function()
      start()
      local c = connect()
      c:send(get "/late?ms=50"):half_close()
      assert.equal("hello", c:response().body)
      assert.same({ "", "closed" }, { c:read_all() })
      server:line "end /late status=200 received=0 sent=5 complete=1"
    end)

    it("still gets all answers to what it pipelined before FIN", function()
      start()
      local c = connect()
      c:send(get "/late?ms=20" .. get "/chunks" .. post("/echo", "abc")):half_close()
      assert.equal("hello", c:response().body)
      assert.equal("onethree", c:response().body)
      assert.equal("abc", c:response().body)
      assert.same({ "", "closed" }, { c:read_all() })
    end)

    it("is gone at FIN where that counts as leaving", function()
      start "--fin-is-gone"
      local c = connect()
      c:send(get "/hold")
      wait.for_("the held request", function() return stat "active" == 2 end)
      c:half_close()
      server:line "gone /hold cancelled"
      server:line "end /hold status=0 received=0 sent=0 complete=0"
      assert.equal("", (c:read_all()))
    end)

    it("gets what it pipelined before FIN up to the last, where FIN counts as leaving", function()
      start "--fin-is-gone"
      local c = connect()
      c:send(get "/late?ms=20" .. get "/chunks" .. get "/hold"):half_close()
      assert.equal("hello", c:response().body)
      assert.equal("onethree", c:response().body)
      server:line "gone /hold cancelled"
      c:read_all()
    end)

    it("is gone when FIN comes in the middle of the body", function()
      start()
      local c = connect()
      c:send(request("POST", "/count", "Content-Length: 10\r\n", "abc")):half_close()
      server:line "gone /count cancelled"
      server:line "end /count status=0"
    end)

    it("is forgotten when FIN comes in the middle of a head", function()
      start()
      local c = connect()
      c:send "GET /hel":half_close()
      assert.same({ "", "closed" }, { c:read_all() })
    end)

    it("is noticed when it resets while its request is worked on", function()
      start()
      local c = connect()
      c:send(get "/hold")
      wait.for_("the held request", function() return stat "active" == 2 end)
      c:reset()
      server:line "gone /hold cancelled"
      server:line "end /hold status=0 received=0 sent=0 complete=0"
    end)

    it("is noticed when it resets after FIN", function()
      start()
      local c = connect()
      c:send(get "/hold"):half_close()
      wait.for_("the held request", function() return stat "active" == 2 end)
      c:reset()
      server:line "gone /hold cancelled"
    end)

    it("is noticed when it resets with more input waiting than is read ahead", function()
      start()
      local c = connect()
      c:send(post("/hold", ("x"):rep(60000)))
      wait.for_("the held request", function() return stat "active" == 2 end)
      c:reset()
      server:line "gone /hold cancelled"
    end)

    it("is noticed when it resets while taking a response", function()
      start()
      local c = connect()
      c:send(get "/big?bytes=1000000000")
      c:skip(MIB)
      c:reset()
      server:line "gone /big cancelled"
      server:line "end /big status=200 received=0 sent=%d+ complete=0"
    end)
  end)

  describe("breaking off", function()
    it("resets before the head has left", function()
      start()
      local c = connect()
      c:send(get "/abort")
      assert.same({ "", "reset" }, { c:read_all() })
      c = connect()
      c:send(get "/end-unanswered")
      assert.same({ "", "reset" }, { c:read_all() })
    end)

    it("leaves a body visibly incomplete afterwards", function()
      start()
      local c = connect()
      c:send(get "/abort-late?ms=20")
      assert.equal("5\r\nbegun\r\n", (c:read_all()):match "\r\n\r\n(.*)$")
      c = connect()
      c:send(get "/abort-late?ms=20&length=1")
      local bytes = c:read_all()
      assert.equal("100", bytes:match "Content%-Length: (%d+)")
      assert.equal("begun", bytes:match "\r\n\r\n(.*)$")
    end)

    it("resets where only the connection's end would end the body", function()
      start()
      local c = connect()
      c:send "GET /abort-late?ms=20 HTTP/1.0\r\n\r\n"
      local _, how = c:read_all()
      assert.equal("reset", how)
    end)

    it("ends every exchange when the server is aborted", function()
      start()
      local held, idle = connect(), connect()
      held:send(get "/hold")
      idle:send(get "/hello"):response()
      wait.for_("the held request", function() return stat "active" == 2 end)
      server:signal "USR1"
      server:line "gone /hold cancelled"
      server:line "end /hold status=0"
      held:read_all()
      idle:read_all()
      assert.equal(200, raw.once(port, get "/hello").status)
    end)

    it("can be asked for from inside a hook", function()
      start()
      local c = connect()
      c:send(get "/server-abort")
      c:read_all()
      server:line "gone /server%-abort cancelled"
      server:line "end /server%-abort status=0"
    end)
  end)

  describe("memory of connections", function()
    local COUNT = 400

    local function crowd(target)
      local all = {}
      for i = 1, COUNT do all[i] = connect():send(target) end
      return all
    end

    it("is lent while something is under way, and given back", function()
      start "--quiet"
      local all = crowd(get "/hold")
      wait.for_("all to be held", function() return stat "active" == COUNT + 1 end)
      assert.equal(COUNT + 1, stat "workspaces")
      raw.once(port, get "/release")
      for _, c in ipairs(all) do assert.equal(200, c:response().status) end
      -- That of the request that asks is left.
      assert.equal(1, stat "workspaces")
      assert.equal(COUNT + 1, stat "open")
    end)

    it("is kept for later requests up to 4 MiB", function()
      start "--quiet"
      local all = crowd(get "/hold")
      wait.for_("all to be held", function() return stat "active" == COUNT + 1 end)
      assert.equal(0, stat "spare_bytes")
      raw.once(port, get "/release")
      for _, c in ipairs(all) do c:response() end
      local spare = stat "spare_bytes"
      assert.is_true(spare <= 4 * MIB and spare > 3 * MIB, "kept: " .. spare)
    end)

    it("stays with a head that is not whole, and with input behind an exchange", function()
      start "--quiet"
      local c = connect():send "GET /hello HTTP/1.1\r\nHost: a\r\n"
      wait.for_("the head's beginning", function() return stat "workspaces" == 2 end)
      c:send "\r\n"
      assert.equal(200, c:response().status)
      assert.equal(1, stat "workspaces")
      c:send(get "/hold" .. get "/hello" .. get "/hello")
      wait.for_("the first of three", function() return stat "active" == 2 end)
      raw.once(port, get "/release")
      for _ = 1, 3 do assert.equal(200, c:response().status) end
      assert.equal(1, stat "workspaces")
    end)

    it("is given back by a client that leaves in the middle of its head", function()
      start "--quiet"
      local c = connect():send "GET /hello HTTP/1.1\r\nHost: a\r\n"
      wait.for_("the head's beginning", function() return stat "workspaces" == 2 end)
      c:close()
      wait.for_("the client to be gone", function()
        return stat "open" == 1 and stat "workspaces" == 1
      end)
    end)
  end)

  describe("back-pressure", function()
    -- AddressSanitizer keeps freed memory for a while.
    local bound = process.preset() == "asan" and 16 * MIB or MIB

    for _, length in ipairs { 0, 1 } do
      it("sends 10 GiB to a slow reader from less than 1 MiB, length=" .. length, function()
        start()
        raw.once(port, get "/hello")
        local before = server:rss()
        local c = connect { receive_buffer = 65536 }
        c:send(get("/big?bytes=10737418240&length=" .. length))
        assert.equal(64 * MIB, c:skip(64 * MIB))
        wait.for_("the writer to be stopped by a full socket", function()
          local cpu = io.open("/proc/" .. server.pid .. "/stat"):read "*a"
          wait.pause(30)
          local later = io.open("/proc/" .. server.pid .. "/stat"):read "*a"
          return cpu:match "%) (.*)" == later:match "%) (.*)"
        end)
        assert.is_true(server:rss_peak() - before < bound)
        c:reset()
        server:line "gone /big cancelled"
      end)
    end

    it("stops reading a body whose echo nobody takes", function()
      start()
      local before = server:rss()
      local c = connect { timeout = 0.3 }
      c:send(request("POST", "/echo", "Content-Length: 1000000000\r\n"))
      local piece, sent = ("x"):rep(MIB), 0
      while sent < 256 * MIB do
        local count, why = c:try_send(piece)
        sent = sent + count
        if why then break end
      end
      assert.is_true(sent < 256 * MIB)
      assert.is_true(server:rss_peak() - before < bound)
      local head = c:head()
      assert.equal(200, head.status)
      assert.equal(sent, c:skip(sent))
      c:send "x"
      assert.equal(1, c:skip(1))
      c:reset()
      server:line "gone /echo cancelled"
    end)
  end)

  describe("accepting", function()
    -- A connection whose request is under way for certain: it waits for the body.
    local function at_work()
      local c = connect()
      c:send(request("POST", "/count", "Content-Length: 3\r\nExpect: 100-continue\r\n"))
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", c:head().bytes)
      return c
    end

    it("pauses at the maximum of connections and goes on below it", function()
      start("--connections-max", 2)
      local a, b = at_work(), at_work()
      local c = connect()
      c:send(get "/hello")
      assert.is_true(c:is_silent())
      a:close()
      assert.equal("hello", c:response().body)
      b:close()
      assert.is_true(stat "accept_paused" >= 1)
    end)

    it("turns clients away, rests and recovers when descriptors run out", function()
      start("--files-max", 24)
      local many, away = {}, 0
      -- Those that are idle would make room.
      many[1] = at_work()
      for i = 2, 40 do many[i] = connect { timeout = 2 }:send "GET /hel" end
      wait.for_("clients to be turned away", function()
        for i, c in ipairs(many) do
          if not c:is_silent(0) then
            c:read_all()
            table.remove(many, i)
            away = away + 1
          end
        end
        return away > 0
      end)
      many[1]:send "abc"
      assert.equal("3", many[1]:response().body)
      for _, c in ipairs(many) do c:close() end
      local r = wait.for_("a new client to be served", function()
        local ok, answer = pcall(raw.once, port, get "/stats")
        return ok and answer
      end)
      assert.is_true(tonumber(r.body:match "accept_paused=(%d+)") >= 1)
    end)
  end)

  it("stops listening under one name and goes on with what it has accepted", function()
    start()
    local c = connect()
    assert.is_true(is_still_open(c))
    server:signal "USR2"
    wait.for_("the listener to close", function() return not pcall(connect) end)
    assert.is_true(is_still_open(c))
  end)

  it("dates each response by the clock of the machine", function()
    start()
    local before = os.time()
    local date = raw.once(port, get "/hello").headers.date
    local possible = {}
    for at = before - 1, os.time() + 1 do
      possible[os.date("!%a, %d %b %Y %H:%M:%S GMT", at)] = true
    end
    assert.is_true(possible[date], date)
  end)

  describe("draining", function()
    it("closes idle connections, answers the rest with Connection: close, and ends", function()
      start()
      local idle, held, partial = connect(), connect(), connect()
      idle:send(get "/hello"):response()
      held:send(get "/late?ms=300")
      partial:send "GET /hello HTTP/1.1\r\nHo"
      wait.for_("the request to be under way", function() return stat "active" == 2 end)
      server:signal "TERM"
      assert.same({ "", "closed" }, { idle:read_all() })
      assert.falsy(pcall(connect))
      partial:send "st: a\r\n\r\n"
      for _, c in ipairs { held, partial } do
        local r = c:response()
        assert.same({ "hello", "close" }, { r.body, r.headers.connection })
        assert.same({ "", "closed" }, { c:half_close():read_all() })
      end
      assert.equal(0, (server:wait()))
      assert.truthy(server:stdout():find "drained\n$")
    end)

    it("ends at once when there is nothing to wait for", function()
      start()
      server:signal "TERM"
      assert.equal(0, (server:wait()))
    end)

    it("can be cut short by an abort", function()
      start()
      local c = connect()
      c:send(get "/hold")
      wait.for_("the held request", function() return stat "active" == 2 end)
      server:signal "TERM"
      wait.for_("the listener to close", function() return not pcall(connect) end)
      server:signal "USR1"
      server:line "gone /hold cancelled"
      assert.equal(0, (server:wait()))
    end)
  end)

  it("survives a storm of clients that do as they like", function()
    local seed = os.time()
    math.randomseed(seed)
    start("--body-max", 100000, "--connections-max", 30, "--body-timeout", "200ms",
      "--head-timeout", "200ms")
    local body = ("x"):rep(3000)
    local parts = {
      get "/hello", get "/chunks", get "/late?ms=3", get "/big?bytes=300000", get "/abort",
      get "/short", get "/excess", get "/abort-late?ms=2", get "/end-unanswered", get "/hold",
      request("HEAD", "/hello"), post("/echo", body), post("/count", body),
      post("/slow-read", body), post("/ignore-body", body),
      request("POST", "/echo", "Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\n\r\n"),
      request("POST", "/count", "Transfer-Encoding: chunked\r\n", "5\r\nabc"),
      request("POST", "/count", "Transfer-Encoding: chunked\r\n", "zz\r\n"),
      request("POST", "/count", "Content-Length: 9\r\nExpect: 100-continue\r\n"),
      "GET /hello HTTP/1.0\r\n\r\n", "BROKEN\r\n\r\n", "GET /hel", "\r\n",
    }
    local acts = {
      function(c) c:try_send(parts[math.random(#parts)]) end,
      function(c) c:try_send(parts[math.random(#parts)] .. parts[math.random(#parts)]) end,
      function(c) c:is_silent(0.001) end,
      function(c) if not c:is_silent(0) then c:skip(math.random(5000)) end end,
      function(c) c:half_close() end,
      function(c) c:reset() return true end,
      function(c) c:close() return true end,
    }
    local open = {}
    for i = 1, 1500 do
      if #open < 20 then open[#open + 1] = connect { timeout = 0.01 } end
      local at = math.random(#open)
      if acts[math.random(#acts)](open[at]) then table.remove(open, at) end
      if i % 100 == 0 then raw.once(port, get "/release") end
      assert.is_false(server:is_over(), "seed " .. seed)
    end
    for _, c in ipairs(open) do c:reset() end
    wait.for_("every exchange to end (seed " .. seed .. ")", function()
      local r = raw.once(port, get "/stats").body
      return r:find "open=1 active=1 ", r
    end)
    local _, gone = server:stdout():gsub("\ngone ", "")
    local _, ended = server:stdout():gsub("\nend ", "")
    assert.is_true(ended > gone and gone > 0, "seed " .. seed)
  end)

  it("holds no descriptor of a connection that has ended", function()
    start()
    raw.once(port, get "/hello")
    local before = server:descriptors()
    for _ = 1, 50 do raw.once(port, get "/hello") end
    wait.for_("connections to close", function() return server:descriptors() <= before end)
  end)
end)
