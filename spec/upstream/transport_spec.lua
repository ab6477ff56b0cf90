--- What every implementation of upstream/transport.h must do; run for each name in `TRANSPORTS`.
--- What only one of them does stands in a block of its own.
local json = require "cjson"
local origins = require "spec.support.origin"
local ports = require "spec.support.ports"
local probe = require "spec.support.probe"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"
local zone = require "spec.support.zone"

local TRANSPORTS = { "curl", "h1", "h1 over TLS" }
-- A turn past this is a blocked loop: what could block it here takes 3 s.
local TURN_MAX_MS = 1000

local OK_HEAD = "HTTP/1.1 200 OK\r\n"

-- A target that has the origin do these steps.
local function script(...) return origins.target { ... } end

for _, transport in ipairs(TRANSPORTS) do
  describe("transport " .. transport, function()
    local is_tls = transport:find "TLS" ~= nil
    local scheme = is_tls and "https" or "http"
    local origin, port, p, z, home, roots

    local function start(options)
      options = options or {}
      options.transport = transport:match "^%S+"
      options.ca_file = options.ca_file or roots
      options.hosts = options.hosts or "/dev/null"
      options.requests = { port = port, total_ms = 10000, scheme = scheme }
      p = probe.start(options)
    end

    local function go(...) return p:begin(...) end
    local function run(...) return p:call(...) end

    -- KiB. OpenSSL gives its buffers back with each record, and the sanitizer keeps them in
    -- quarantine: what it holds says nothing about us.
    local function memory_limit()
      if process.preset() == "dev" then return 4096 end
      return is_tls and math.huge or 65536
    end

    local function counts()
      if is_tls then
        local counter = probe.start { transport = "h1", ca_file = roots,
          requests = { port = port, scheme = scheme } }
        local _, _, body = counter:call "/counts"
        counter:finish()
        return json.decode(body)
      end
      return json.decode(raw.once(port, "GET /counts HTTP/1.1\r\nHost: a\r\n\r\n").body)
    end

    -- The origin's account of a request that it answered.
    local function account(more)
      local finish, _, body = run("/ok", more)
      assert.equal("none", finish.kind, finish.message)
      return json.decode(body), finish
    end

    setup(function()
      home = os.tmpname()
      os.remove(home)
      assert(os.execute("mkdir -p " .. home) == 0)
      origin = process.spawn { "/usr/bin/python3", "spec/support/origin.py",
        unpack(is_tls and { "--tls", home } or {}) }
      port = origin:line "port (%d+)"
      roots = is_tls and origin:line "cert (%S+)" or nil
    end)

    teardown(function()
      origin:kill()
      os.execute("rm -r " .. home)
    end)

    after_each(function()
      if p then p:kill() end
      if z then z:kill() end
      p, z = nil, nil
    end)

    describe("sends", function()
      it("exactly the head it was given, and nothing of its own", function()
        start()
        local sent = account {
          authority = "Shop.Example:8443",
          headers = { { "X-One", "1" }, { "x-two", "a, b" }, { "X-One", "again" }, { "X-Empty",
            "" } },
        }
        assert.equal("GET /ok HTTP/1.1\r\nHost: Shop.Example:8443\r\nX-One: 1\r\nx-two: a, b\r\n"
          .. "X-One: again\r\nX-Empty:\r\n\r\n", sent.head)
        p:finish()
      end)

      it("TE: trailers for a caller that takes them", function()
        start()
        local head = account { trailers = 1 }.head
        assert.truthy(head:find("\r\nTE: trailers\r\n", 1, true), head)
        assert.truthy(head:find("\r\nConnection: TE\r\n", 1, true), head)
        p:finish()
      end)

      it("the target as it is", function()
        start()
        local target = "/ok/../ok//./%2e%2E/a%2Fb;c=d?q=../..//&r=%20%zz[]{}|"
        local _, _, body = run(target)
        assert.equal("GET " .. target .. " HTTP/1.1", json.decode(body).head:match "^[^\r]*")
        _, _, body = run("*", { method = "OPTIONS" })
        assert.equal("OPTIONS * HTTP/1.1", json.decode(body).head:match "^[^\r]*")
        p:finish()
      end)

      it("any method that is a token", function()
        start()
        for _, method in ipairs { "DELETE", "PURGE", "M-SEARCH", "get", "TRACE" } do
          assert.equal(method, account { method = method }.head:match "^%S+")
        end
        p:finish()
      end)

      it("bodies of known length, without waiting for 100-continue", function()
        start()
        for _, length in ipairs { 1, 16384, 500000 } do
          local sent, finish = account { method = "PUT", body = ("x"):rep(length) }
          assert.equal(length, sent.body_bytes)
          assert.truthy(sent.head:find("Content-Length: " .. length .. "\r\n", 1, true))
          assert.is_nil(sent.head:find("Content-Type", 1, true))
          assert.equal(length, finish.sent_bytes)
        end
        -- libcurl expects 100-continue, and waits a second for it, from a mebibyte on.
        local size = 2000000
        local sent, finish = account { method = "PUT", fill = size, length = size }
        assert.equal(size, sent.body_bytes)
        assert.is_nil(sent.head:find("Expect", 1, true))
        assert.is_true(finish.ms < 900, "it waited for something")
        p:finish()
      end)

      it("no Expect, not even the caller's", function()
        start()
        assert.is_nil(account { method = "PUT", body = "x", headers = { { "Expect",
          "100-continue" } } }
          .head:find("Expect", 1, true))
        p:finish()
      end)

      it("Content-Length: 0 where a method wants a body and none is given", function()
        start()
        for method, wants in pairs { POST = true, PUT = true, PATCH = true, GET = false,
          DELETE = false } do
          local found = account { method = method }.head:find("Content-Length: 0\r\n", 1, true)
          assert.equal(wants, found ~= nil, method)
        end
        assert.truthy(account { method = "PUT", body = "" }.head:find("Content-Length: 0\r\n", 1,
          true))
        p:finish()
      end)

      it("streams of unknown length in chunks, of known length with it", function()
        start()
        for _, length in ipairs { false, "7" } do
          local id = go("/ok", { method = "POST", stream = 1, length = length or nil,
            idempotent = 0 })
          p:send("write", id, "abc")
          p:send("write", id, "defg")
          p:send("end", id)
          p:wait_end(id)
          local sent = json.decode(p:body(id))
          assert.equal("abcdefg", sent.body)
          local framing = length and "Content-Length: 7\r\n" or "Transfer-Encoding: chunked\r\n"
          assert.truthy(sent.head:find(framing, 1, true), sent.head)
        end
        p:finish()
      end)

      it("nothing through the environment's proxy, netrc or cookies", function()
        start { env = { http_proxy = "http://127.0.0.1:1", ALL_PROXY = "http://127.0.0.1:1",
          HOME = "/tmp" } }
        local first = run(script("send:" .. OK_HEAD
          .. "Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"))
        assert.equal("none", first.kind)
        local sent = account()
        assert.is_nil(sent.head:lower():find("cookie", 1, true))
        assert.is_nil(sent.head:lower():find("authorization", 1, true))
        p:finish()
      end)
    end)

    describe("refuses to send", function()
      local cases = {
        { "a target with a space", { target = "/a b" } },
        { "a target with a line end", { target = "/a\r\nX: y" } },
        { "a target with a fragment", { target = "/a#b" } },
        { "an absolute target", { target = "http://a/" } },
        { "an empty target", { target = "" } },
        { "an authority with a line end", { target = "/", authority = "a\r\nX: y" } },
        { "an authority with a path", { target = "/", authority = "a/b" } },
        { "an authority with user info", { target = "/", authority = "u@a" } },
        { "a method that is no token", { target = "/", method = "GE T" } },
        { "CONNECT", { target = "/", method = "CONNECT" } },
        { "a value with a line end", { target = "/", headers = { { "X-A", "b\r\nX-C: d" } } } },
        { "a name with a space", { target = "/", headers = { { "X A", "b" } } } },
        { "Host", { target = "/", headers = { { "hOst", "b" } } } },
        { "Transfer-Encoding", { target = "/", headers = { { "transfer-encoding", "chunked" } } } },
        { "Content-Length", { target = "/", headers = { { "Content-length", "5" } } } },
        { "HEAD with a body", { target = "/", method = "HEAD", body = "x" } },
      }
      for _, case in ipairs(cases) do
        it(case[1], function()
          start()
          local before = counts().connections
          local finish = run(case[2].target, case[2])
          assert.equal("invalid", finish.kind)
          assert.equal("nothing", finish.sent)
          assert.equal(before + 1, counts().connections)
          p:finish()
        end)
      end

      it("a stream that breaks its announced length", function()
        start()
        local short = go("/ok", { method = "PUT", stream = 1, length = "5" })
        p:send("write", short, "abc")
        p:send("end", short)
        assert.equal("invalid", p:wait_end(short).kind)
        local long = go("/ok", { method = "PUT", stream = 1, length = "2" })
        p:send("write", long, "abc")
        assert.equal("invalid", p:wait_end(long).kind)
        p:finish()
      end)
    end)

    describe("receives", function()
      it("head fields in order, with duplicates, as they were written", function()
        start()
        local finish, head, body = run(script("send:" .. OK_HEAD
          .. "X-b: 1\r\nset-Cookie: a=1\r\nX-B:  two \r\nSet-Cookie: b=2\r\nX-E:\r\n"
          .. "Content-Length: 2\r\n\r\nhi"))
        assert.equal("none", finish.kind, finish.message)
        assert.same({ { "X-b", "1" }, { "set-Cookie", "a=1" }, { "X-B", "two" }, { "Set-Cookie",
          "b=2" },
          { "X-E", "" }, { "Content-Length", "2" } }, head.headers)
        assert.equal(200, head.status)
        assert.equal(1, head.minor)
        assert.equal(2, head.length)
        assert.equal("hi", body)
        p:finish()
      end)

      it("the final head only, however many interim ones come before", function()
        start()
        local finish, head = run(script("send:HTTP/1.1 100 Continue\r\n\r\n",
          "send:HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "send:" .. OK_HEAD
            .. "Content-Length: 0\r\n\r\n"))
        assert.equal("none", finish.kind, finish.message)
        assert.equal(200, head.status)
        assert.equal(1, #head.headers)
        p:finish()
      end)

      it("trailers behind the body, and none where there are none", function()
        start()
        local id = go(script("send:" .. OK_HEAD .. "Transfer-Encoding: chunked\r\n\r\n"
          .. "3\r\nabc\r\n0\r\ngrpc-status: 0\r\nX-Sum:  7 \r\n\r\n"))
        assert.equal("none", p:wait_end(id).kind)
        local trailers = p:of(id, "trailers")
        assert.equal(1, #trailers)
        assert.equal("0", trailers[1]["grpc-status"])
        assert.equal("7", trailers[1]["X-Sum"])
        id = go(script("send:" .. OK_HEAD .. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"))
        assert.equal("none", p:wait_end(id).kind)
        assert.equal(0, #p:of(id, "trailers"))
        p:finish()
      end)

      it("bodies in chunks, by length, and until the connection closes", function()
        start()
        local cases = {
          { "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n"
            .. "X-Trailer: 1\r\n\r\n" },
          { "Content-Length: 7\r\n\r\nabcdefg" },
          { "\r\nabcdefg", "close" },
        }
        for _, case in ipairs(cases) do
          local finish, head, body, id = run(script("send:" .. OK_HEAD .. case[1], case[2]))
          assert.equal("none", finish.kind, finish.message)
          assert.equal("abcdefg", body)
          assert.equal(7, finish.received_bytes)
          assert.equal(1, #p:of(id, "head"))
          assert.is_true(#head.headers <= 1)
        end
        p:finish()
      end)

      it("no body after HEAD, 204 and 304, whatever their fields say", function()
        start()
        local cases = { { "HEAD", "200 OK" }, { "GET", "204 No Content" }, { "GET",
          "304 Not Modified" } }
        for _, case in ipairs(cases) do
          local length = case[2]:match "^204" and "" or "Content-Length: 500\r\n"
          local finish, head, body = run(script("send:HTTP/1.1 " .. case[2] .. "\r\n" .. length
            .. "\r\n"),
            { method = case[1] })
          assert.equal("none", finish.kind, finish.message)
          assert.equal("", body)
          assert.equal(#length > 0 and 500 or nil, head.length)
        end
        p:finish()
      end)

      it("encoded bodies as they are", function()
        start()
        local finish, _, body = run(script("send:" .. OK_HEAD
          .. "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nnogzp"))
        assert.equal("none", finish.kind, finish.message)
        assert.equal("nogzp", body)
        p:finish()
      end)

      it("redirects as answers", function()
        start()
        local before = counts().methods.GET or 0
        local _, head = run(script("send:HTTP/1.1 302 Found\r\nLocation: /ok\r\n"
          .. "Content-Length: 0\r\n\r\n"))
        assert.equal(302, head.status)
        assert.equal(before + 1, counts().methods.GET)
        p:finish()
      end)
    end)

    describe("calls it a protocol error", function()
      local many = {}
      for i = 1, 101 do many[i] = "X-" .. i .. ": y\r\n" end
      local cases = {
        { "when the answer is not HTTP", "hello\r\n\r\n" },
        { "when a field name has a space before its colon", OK_HEAD
          .. "X : y\r\nContent-Length: 0\r\n\r\n" },
        { "when a field is folded", OK_HEAD .. "X: y\r\n z\r\nContent-Length: 0\r\n\r\n" },
        { "when a field value has a control character", OK_HEAD
          .. "X: a\1b\r\nContent-Length: 0\r\n\r\n" },
        { "when a field value has a NUL", OK_HEAD .. "X: a\0b\r\nContent-Length: 0\r\n\r\n" },
        { "when lines end in LF alone", "HTTP/1.1 200 OK\nContent-Length: 0\n\n" },
        { "when two lengths differ", OK_HEAD
          .. "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab" },
        { "when a length stands beside chunks", OK_HEAD
          .. "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
        { "when the transfer coding is unknown", OK_HEAD
          .. "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
        { "when a length is no number", OK_HEAD .. "Content-Length: 1x\r\n\r\na" },
        { "when there are more than 100 fields", OK_HEAD .. table.concat(many)
          .. "Content-Length: 0\r\n\r\n" },
        { "when the head passes 32 KiB", OK_HEAD .. ("X-A: " .. ("y"):rep(4000) .. "\r\n"):rep(9)
          .. "\r\n" },
        { "when the version is not 1.0 or 1.1", "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n" },
        { "when the status has two digits", "HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n" },
        { "when the protocol is switched",
          "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" },
        { "when interim heads never end", ("HTTP/1.1 100 Continue\r\n\r\n"):rep(100) .. OK_HEAD
          .. "\r\n" },
        { "when a chunk size is no number", OK_HEAD
          .. "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", true },
        { "when a chunk is longer than it says", OK_HEAD
          .. "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", true },
      }
      for _, case in ipairs(cases) do
        it(case[1], function()
          start()
          local finish, head = run(script("send:" .. case[2], "hang"))
          assert.equal("protocol", finish.kind, finish.message)
          assert.equal(case[3] or false, head ~= nil)
          local url = scheme .. "://127.0.0.1:" .. port
          assert.truthy(finish.message:find(url, 1, true), finish.message)
          p:finish()
        end)
      end
    end)

    describe("calls it a reset", function()
      local cases = {
        { "when the connection closes before a head", { "close" } },
        { "when the connection is reset before a head", { "reset" } },
        { "when the head is cut off", { "send:" .. OK_HEAD .. "Content-Le", "close" } },
        { "when the body is shorter than its length", { "send:" .. OK_HEAD
          .. "Content-Length: 10\r\n\r\nabc", "close" }, true },
        { "when the body is reset", { "send:" .. OK_HEAD .. "Content-Length: 10\r\n\r\nabc",
          "wait:50", "reset" }, true },
        { "when the last chunk is missing", { "send:" .. OK_HEAD
          .. "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "close" }, true },
      }
      for _, case in ipairs(cases) do
        it(case[1], function()
          start()
          local finish, head = run(script(unpack(case[2])))
          assert.equal("reset", finish.kind, finish.message)
          assert.equal("head", finish.sent)
          assert.equal(case[3] or false, head ~= nil)
          assert.equal(head == nil, finish.retryable)
          p:finish()
        end)
      end
    end)

    describe("says what went wrong", function()
      it("when nobody listens", function()
        start()
        local finish = run("/", { port = 1, idempotent = 0 })
        assert.equal("connect", finish.kind)
        assert.equal("nothing", finish.sent)
        assert.is_true(finish.retryable)
        assert.equal(scheme .. "://127.0.0.1:1: Connection refused", finish.message)
        p:finish()
      end)

      it("when the name does not resolve", function()
        z = zone.start()
        start { servers = z.servers }
        local finish = run("/", { host = "gone.test" })
        assert.equal("dns", finish.kind)
        assert.is_true(finish.retryable)
        assert.truthy(finish.message:find("gone.test: no such name", 1, true), finish.message)
        p:finish()
      end)

      it("whether a retry can do harm", function()
        start()
        local cases = {
          { { idempotent = 1 }, "close", "head", true },
          { { idempotent = 0, method = "POST" }, "close", "head", false },
          { { idempotent = 0, method = "POST", body = "x" }, "close", "body", false },
          { { idempotent = 1, method = "PUT", body = "x" }, "close", "body", true },
          { { idempotent = 1 }, "send:" .. OK_HEAD .. "Content-Length: 5\r\n\r\n", "head", false },
        }
        for i, case in ipairs(cases) do
          local finish = run(script(case[2], "close"), case[1])
          assert.equal("reset", finish.kind, i .. finish.message)
          assert.equal(case[3], finish.sent, "sent in case " .. i)
          assert.equal(case[4], finish.retryable, "retryable in case " .. i)
        end
        p:finish()
      end)
    end)

    describe("tries the next address of a name", function()
      it("when one refuses", function()
        z = zone.start { ["a.test"] = { a = { "127.0.0.9", "127.0.0.1" } } }
        start { servers = z.servers }
        local finish = run("/ok", { host = "a.test", idempotent = 0 })
        assert.equal("none", finish.kind, finish.message)
        assert.equal("127.0.0.1:" .. port, finish.address)
        p:finish()
      end)
    end)

    describe("reuses connections", function()
      it("for idempotent requests, whatever their Host", function()
        start()
        -- Over TLS the host is part of what a connection is for.
        local first = account { authority = "a.test" }
        local second, finish = account { authority = is_tls and "a.test:1" or "b.test" }
        assert.equal(first.connection, second.connection)
        assert.is_true(finish.reused)
        p:finish()
      end)

      it("never for a request that asks for a fresh one", function()
        start()
        local first = account()
        local second, finish = account { fresh = 1 }
        assert.not_equal(first.connection, second.connection)
        assert.is_false(finish.reused)
        p:finish()
      end)

      if transport == "curl" then
        it("never for a request that must not be sent twice", function()
          start()
          local first = account()
          local second, finish = account { idempotent = 0, method = "POST", body = "x" }
          assert.not_equal(first.connection, second.connection)
          assert.is_false(finish.reused)
          p:finish()
        end)
      else
        it("for a request that must not be sent twice if it answered within the last second",
          function()
          start()
          local first = account()
          local second, finish = account { idempotent = 0, method = "POST", body = "x" }
          assert.equal(first.connection, second.connection)
          assert.is_true(finish.reused)
          wait.pause(1100)
          local third = account { idempotent = 0, method = "POST", body = "x" }
          assert.not_equal(first.connection, third.connection)
          p:finish()
        end)

        it("for a second less than the server's Keep-Alive says", function()
          start()
          local answer = OK_HEAD .. "Keep-Alive: max=9, timeout=%d\r\nContent-Length: 0\r\n\r\n"
          run(script("send:" .. answer:format(2)))
          local _, soon = account()
          assert.is_true(soon.reused)
          run(script("send:" .. answer:format(2)))
          wait.pause(1100)
          local _, late = account()
          assert.is_false(late.reused)
          run(script("send:" .. answer:format(1)))
          local _, never = account()
          assert.is_false(never.reused)
          p:finish()
        end)
      end

      it("not past their idle time", function()
        start { idle = 1000 }
        local first = account()
        wait.pause(1100)
        assert.not_equal(first.connection, account().connection)
        p:finish()
      end)

      local length, chunked = "Content-Length: 2\r\n\r\nhi",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
      local evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
      local cases = {
        { "with a length", { "send:" .. OK_HEAD .. length .. evil } },
        { "in chunks", { "send:" .. OK_HEAD .. chunked .. evil } },
        { "without a body", { "send:HTTP/1.1 304 Not Modified\r\n\r\n" .. evil } },
        { "with a length, a little later", { "send:" .. OK_HEAD .. length, "wait:20", "send:"
          .. evil }, 60 },
        { "in chunks, a little later", { "send:" .. OK_HEAD .. chunked, "wait:20", "send:"
          .. evil }, 60 },
      }
      for _, case in ipairs(cases) do
        it("never after bytes that follow a response " .. case[1], function()
          start()
          local before = counts().connections
          assert.equal("none", run(script(unpack(case[2]))).kind)
          if case[3] then wait.pause(case[3]) end
          local sent, finish = account()
          assert.is_false(finish.reused)
          assert.is_true(sent.connection > before + 1)
          p:finish()
        end)
      end

      it("and notices at once that a pooled one was closed", function()
        start()
        assert.equal("none", run(script("send:" .. OK_HEAD .. "Content-Length: 0\r\n\r\n",
          "close")).kind)
        wait.pause(20)
        local _, finish = account()
        assert.is_false(finish.reused)
        p:finish()
      end)

      it("up to a maximum for one endpoint, the rest waits", function()
        start { endpoint_connections = 2 }
        local before = counts()
        local ids = {}
        for i = 1, 8 do ids[i] = go(script("wait:30", "send:" .. OK_HEAD
          .. "Content-Length: 0\r\n\r\n")) end
        for _, id in ipairs(ids) do assert.equal("none", p:wait_end(id).kind) end
        assert.equal(before.connections + 3, counts().connections)
        p:finish()
      end)
    end)

    describe("sends twice only where that cannot do harm", function()
      it("never a request that is not idempotent, whatever happens to pooled connections",
        function()
        start()
        local before = counts()
        local posts, batch, failed = 600, 20, 0
        for i = 1, posts / batch do
          local ids = {}
          for j = 1, batch do
            local kind = j % 3
            ids[j] = go("/flaky", {
              method = "POST", idempotent = 0, headers = { { "X-Id", "p" .. transport .. i .. "."
                .. j } },
              body = kind == 1 and "hello" or nil, stream = kind == 2 and 1 or nil,
            })
            if kind == 2 then
              p:send("write", ids[j], "hello")
              p:send("end", ids[j])
            end
            go("/flaky", {}) -- keeps the pool filled with connections that die
          end
          for _, id in ipairs(ids) do
            local finish = p:wait_end(id, 20)
            if finish.kind ~= "none" then
              failed = failed + 1
              assert.is_true(finish.reused, "a fresh connection is always answered")
              assert.is_false(finish.resent)
              assert.is_false(finish.retryable)
            end
          end
        end
        local after, seed = counts(), origin:line "seed (%d+)"
        local seen = after.methods.POST - (before.methods.POST or 0)
        assert.equal(0, after.twice, seed)
        assert.equal(seen, after.ids - before.ids)
        assert.is_true(seen <= posts and seen >= posts - failed, seed)
        if transport == "curl" then assert.equal(0, failed, seed) end
        p:finish()
      end)

      it("an idempotent one at most once more, on a fresh connection", function()
        start()
        local failed, total = 0, 300
        local before = counts().methods.GET
        for _ = 1, total / 10 do
          local ids = {}
          for j = 1, 10 do ids[j] = go("/flaky") end
          for _, id in ipairs(ids) do
            if p:wait_end(id, 20).kind ~= "none" then failed = failed + 1 end
          end
        end
        assert.equal(0, failed, "seed " .. origin:line "seed (%d+)")
        local seen = counts().methods.GET - before
        assert.is_true(seen >= total and seen <= 2 * total, seen .. " seen")
        p:finish()
      end)

      it("nothing again once a line of a response came", function()
        start()
        account()
        local before = counts().methods.GET
        local finish = run(script("send:" .. OK_HEAD, "close"))
        assert.not_equal("none", finish.kind)
        assert.equal(before + 1, counts().methods.GET)
        p:finish()
      end)

      it("a body again from its beginning, a stream never", function()
        start()
        account()
        local before = counts().methods.PUT or 0
        -- The first PUT rides the pooled connection, which dies; the second try is on a fresh one.
        local finish = run(script("close"), { method = "PUT", body = "hello" })
        assert.equal("reset", finish.kind)
        assert.equal(before + 2, counts().methods.PUT)
        account()
        local id = go(script("close"), { method = "PUT", stream = 1 })
        p:send("write", id, "hello")
        p:send("end", id)
        assert.equal("reset", p:wait_end(id).kind)
        assert.equal(before + 3, counts().methods.PUT)
        p:finish()
      end)
    end)

    describe("limits time", function()
      local function assert_fires(id, limit, what)
        local finish = p:wait_end(id)
        assert.equal("timeout", finish.kind, finish.message)
        assert.is_true(finish.ms >= limit, "fired early, at " .. finish.ms)
        -- What else could end it takes 3 s and more.
        assert.is_true(finish.ms < limit + 2000, "fired late, at " .. finish.ms)
        assert.truthy(finish.message:find(what, 1, true), finish.message)
        local longest = p:stat().turn_max_ms
        assert.is_true(longest < TURN_MAX_MS, "a turn took " .. longest .. " ms")
        return finish
      end

      it("in all", function()
        start()
        p:stat()
        local finish = assert_fires(go(script "hang", { total_ms = 200 }), 200,
          "no complete response within 200 ms")
        assert.is_true(finish.retryable)
        p:finish()
      end)

      it("in all, also while the name resolves", function()
        z = zone.start { ["slow.test"] = { a = { "127.0.0.1" }, delay = 3000 } }
        start { servers = z.servers, dns_timeout = 5000 }
        p:stat()
        local finish = assert_fires(go("/ok", { host = "slow.test", total_ms = 200 }), 200,
          "no complete response")
        assert.equal("nothing", finish.sent)
        p:finish()
      end)

      it("to connect, the name included", function()
        z = zone.start { ["slow.test"] = { a = { "127.0.0.1" }, delay = 3000 } }
        start { servers = z.servers, dns_timeout = 5000 }
        local finish = assert_fires(go("/ok", { host = "slow.test", connect_ms = 150 }), 150,
          "the name did not resolve")
        assert.equal("nothing", finish.sent)
        p:finish()
      end)

      it("to the final head; interim ones do not count", function()
        start()
        -- With those it would never fire before 300 ms.
        wait.for_("one that fires in time", function()
          local id = go(script("send:HTTP/1.1 100 Continue\r\n\r\n", "wait:100",
            "send:HTTP/1.1 103 Hints\r\n\r\n", "hang"), { first_byte_ms = 200 })
          return assert_fires(id, 200, "no response head within 200 ms").ms < 300
        end)
        p:finish()
      end)

      it("to the head from the end of the request, not from its start", function()
        start()
        local id = go(script "hang", { method = "PUT", stream = 1, first_byte_ms = 100 })
        p:stat() -- it has begun
        wait.pause(150)
        p:send("write", id, "x")
        p:send("end", id)
        local finish = p:wait_end(id)
        assert.equal("timeout", finish.kind)
        -- By the probe's own clock.
        local written = p:of(id, "written")[1]
        assert.is_true(written.ms >= 100, "the request ended at " .. written.ms)
        assert.is_true(finish.ms - written.ms >= 100,
          ("the request ended at %g, it fired at %g"):format(written.ms, finish.ms))
        p:finish()
      end)

      it("between pieces of the body", function()
        start()
        -- A piece may be late on a busy machine; without a new time for each, all never come.
        wait.for_("all pieces to come in time", function()
          local id = go(script("send:" .. OK_HEAD .. "Content-Length: 9\r\n\r\na", "wait:120",
            "send:b", "wait:120", "send:c", "hang"), { between_ms = 200 })
          local finish = assert_fires(id, 200, "no more of the body within 200 ms")
          local pieces = p:of(id, "data")
          assert.is_true(finish.ms - pieces[#pieces].ms >= 200, "fired at " .. finish.ms)
          assert.is_false(finish.retryable)
          return finish.received_bytes == 3
        end)
        p:finish()
      end)

      it("between pieces only while reading is not paused", function()
        start()
        local id = go(script("send:" .. OK_HEAD .. "Content-Length: 3\r\n\r\na", "wait:50",
          "send:bc"),
          { between_ms = 150, on_data = "pause" })
        p:wait(id, "data")
        wait.pause(300)
        assert.equal(0, #p:of(id, "end"))
        p:send("resume", id)
        assert.equal("none", p:wait_end(id).kind)
        p:finish()
      end)
    end)

    describe("cancels silently", function()
      it("while the name resolves, at once and without blocking the loop", function()
        z = zone.start { ["slow.test"] = { a = { "127.0.0.1" }, delay = 3000 } }
        start { servers = z.servers, dns_timeout = 5000 }
        local id = go("/ok", { host = "slow.test" })
        wait.for_("the question", function() return z:queries "slow.test" > 0 end)
        p:stat()
        p:send("cancel", id)
        p:wait(id, "cancelled")
        local longest = p:stat().turn_max_ms
        assert.is_true(longest < TURN_MAX_MS, "a turn took " .. longest .. " ms")
        assert.equal(0, #p:of(id, "end"))
        p:finish()
      end)

      it("while it waits for the head, and closes the connection", function()
        start()
        local before = counts().open
        local id = go(script "hang")
        wait.for_("the request to arrive", function() return counts().open == before + 1 end)
        p:send("cancel", id)
        p:wait(id, "cancelled")
        wait.for_("the connection to close", function() return counts().open <= before end)
        assert.equal(0, #p:of(id, "end"))
        p:finish()
      end)

      for _, place in ipairs { "on_head", "on_data", "on_writable" } do
        it("inside " .. place, function()
          start()
          local more = { [place] = "cancel" }
          if place == "on_writable" then
            more.method, more.fill, more.length = "PUT", 1000000, 1000000
          end
          local id = go(script("send:" .. OK_HEAD .. "Content-Length: 100000\r\n\r\n",
            "zeros:100000"), more)
          p:wait(id, "cancelled")
          account()
          assert.equal(0, #p:of(id, "end"))
          local events = p:of(id)
          assert.equal("cancelled", events[#events].event)
          p:finish()
        end)
      end

      it("while it is paused, in either direction", function()
        start()
        local down = go(script("send:" .. OK_HEAD .. "Content-Length: 1000000\r\n\r\n",
          "zeros:1000000"), { on_data = "pause" })
        p:wait(down, "data")
        local up = go("/ok", { method = "PUT", stream = 1 })
        p:send("write", up, "x")
        account()
        for _, id in ipairs { down, up } do
          p:send("cancel", id)
          p:wait(id, "cancelled")
        end
        account()
        assert.equal(0, #p:of(down, "end") + #p:of(up, "end"))
        p:finish()
      end)

      it("when the transport is closed under it", function()
        start()
        for _ = 1, 5 do go(script "hang") end
        go(script("send:" .. OK_HEAD .. "Content-Length: 9\r\n\r\n", "hang"), { on_data = "pause" })
        account()
        p:finish()
      end)
    end)

    describe("streams with back-pressure", function()
      it("down: nothing comes after the piece at which it was paused", function()
        start()
        local id = go(script("send:" .. OK_HEAD .. "Content-Length: 300000\r\n\r\n",
          "zeros:300000"),
          { on_data = "pause", text = false })
        local first = p:wait(id, "data")
        account()
        assert.equal(1, #p:of(id, "data"))
        p:send("resume", id)
        local finish = p:wait_end(id)
        assert.equal("none", finish.kind)
        assert.equal(300000, finish.delivered)
        assert.is_true(first.bytes <= 65536)
        p:finish()
      end)

      it("down: 100 MiB through a consumer that keeps pausing, in bounded memory", function()
        start()
        local size = 100 * 1048576
        account()
        local before = p:stat().rss_kb
        local id = go(script("send:" .. OK_HEAD .. "Content-Length: " .. size .. "\r\n\r\n",
          "zeros:" .. size),
          { text = false, quiet = 1, pause_every = 1048576, resume_ms = 1, total_ms = 60000 })
        local finish = p:wait_end(id, 60)
        assert.equal("none", finish.kind, finish.message)
        assert.equal(size, finish.delivered)
        local grown = p.process:rss_peak() / 1024 - before
        assert.is_true(grown < memory_limit(), "grew by " .. grown .. " KiB")
        p:finish()
      end)

      it("up: says stop at 64 KiB and go at 16 KiB, 50 MiB in bounded memory", function()
        start()
        local size = 50 * 1048576
        account()
        local before = p:stat().rss_kb
        local id = go("/ok", { method = "POST", idempotent = 0, fill = size, length = size,
          total_ms = 60000 })
        local finish = p:wait_end(id, 60)
        assert.equal("none", finish.kind, finish.message)
        assert.equal(size, finish.sent_bytes)
        assert.equal(size, json.decode(p:body(id)).body_bytes)
        assert.is_true(#p:of(id, "writable") > 0)
        local grown = p.process:rss_peak() / 1024 - before
        assert.is_true(grown < memory_limit(), "grew by " .. grown .. " KiB")
        p:finish()
      end)

      it("both ways at once", function()
        start()
        local id = go(script("early", "send:" .. OK_HEAD .. "Content-Length: 4\r\n\r\nab",
          "wait:50", "send:cd", "hang"),
          { method = "POST", idempotent = 0, stream = 1 })
        p:wait(id, "head")
        p:send("write", id, "x")
        p:send("write", id, "y")
        assert.equal("none", p:wait_end(id).kind)
        assert.equal("abcd", p:body(id))
        p:finish()
      end)

      it("ends with an early answer while the request is still being written", function()
        start()
        for _, status in ipairs { "200 OK", "413 Too Large" } do
          local id = go(script("early", "send:HTTP/1.1 " .. status
            .. "\r\nContent-Length: 2\r\n\r\nno", "hang"),
            { method = "POST", idempotent = 0, stream = 1 })
          p:send("write", id, "x")
          local finish = p:wait_end(id)
          assert.equal("none", finish.kind, finish.message)
          assert.equal("no", p:body(id))
          local _, after = account()
          assert.is_false(after.reused)
          p:finish()
          start()
        end
        p:finish()
      end)
    end)

    local h2_only = transport == "curl" and describe or function() end

    describe("over TLS", function()
      local secure, directory, cert, tls_port

      setup(function()
        directory = os.tmpname()
        os.remove(directory)
        assert(os.execute("mkdir -p " .. directory) == 0)
        secure = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--tls", directory }
        cert = secure:line "cert (%S+)"
        tls_port = secure:line "port (%d+)"
      end)

      teardown(function()
        secure:kill()
        os.execute("rm -r " .. directory)
      end)

      it("refuses a certificate that nobody vouches for", function()
        start()
        local finish = run("/ok", { port = tls_port, scheme = "https", authority = "localhost" })
        assert.equal("tls", finish.kind, finish.message)
        assert.equal("nothing", finish.sent)
        assert.is_true(finish.retryable)
        p:finish()
      end)

      it("accepts one that the given roots vouch for, for the authority's name", function()
        start { ca_file = cert }
        local finish, _, body = run("/ok", { port = tls_port, scheme = "https",
          authority = "origin.test:99" })
        assert.equal("none", finish.kind, finish.message)
        assert.truthy(json.decode(body).head:find("Host: origin.test:99\r\n", 1, true))
        finish = run("/ok", { port = tls_port, scheme = "https", authority = "other.test" })
        assert.equal("tls", finish.kind, finish.message)
        p:finish()
      end)

      it("reuses connections, and streams", function()
        start { ca_file = cert }
        local more = { port = tls_port, scheme = "https", authority = "origin.test" }
        run("/ok", more)
        local finish = run("/ok", more)
        assert.is_true(finish.reused)
        more.method, more.fill, more.length = "PUT", 3000000, 3000000
        finish = run("/ok", more)
        assert.equal("none", finish.kind, finish.message)
        assert.equal(3000000, finish.sent_bytes)
        p:finish()
      end)

      it("tells a plain server from a secure one", function()
        local plain = process.spawn { "/usr/bin/python3", "spec/support/origin.py" }
        start()
        local finish = run("/ok", { scheme = "https", authority = "localhost",
          port = plain:line "port (%d+)" })
        assert.equal("tls", finish.kind, finish.message)
        p:finish()
        plain:kill()
      end)

      it("takes an end for the body's only when it is said", function()
        start { ca_file = cert }
        local more = { port = tls_port, scheme = "https", authority = "origin.test" }
        local answer = "send:" .. OK_HEAD .. "Connection: close\r\n\r\nabc"
        local finish, _, body = run(script(answer, "close"), more)
        assert.same({ "none", "abc" }, { finish.kind, body })
        finish, _, body = run(script("send:" .. OK_HEAD .. "Content-Length: 3\r\n\r\nabc", "cut"),
          more)
        assert.same({ "none", "abc" }, { finish.kind, body })
        -- RFC 9112 9.8. libcurl 7.88 does not see it.
        finish, _, body = run(script(answer, "cut"), more)
        assert.equal("abc", body)
        assert.equal(transport == "curl" and "none" or "reset", finish.kind)
        p:finish()
      end)
    end)

    h2_only("over HTTP/2", function()
      local directory, cert, secure, nginx, h2_port

      -- A real server: nginx answers itself, or passes on to the origin.
      local CONF = [[
        daemon off; master_process off; pid DIR/nginx.pid; error_log stderr error;
        events { worker_connections 256; }
        http {
          access_log off; client_body_temp_path DIR/b;
          proxy_temp_path DIR/p; fastcgi_temp_path DIR/f;
          uwsgi_temp_path DIR/u; scgi_temp_path DIR/s; client_max_body_size 0;
          server {
            listen 127.0.0.1:PORT ssl http2;
            ssl_certificate DIR/cert.pem; ssl_certificate_key DIR/key.pem;
            location / { proxy_pass http://127.0.0.1:ORIGIN; proxy_set_header Host $http_host;
              proxy_http_version 1.1; proxy_request_buffering off; proxy_buffering off; }
            location /who { return 200 "$server_protocol $connection $host"; }
          }
        }]]

      setup(function()
        directory = os.tmpname()
        os.remove(directory)
        assert(os.execute("mkdir -p " .. directory) == 0)
        secure = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--tls", directory }
        cert = secure:line "cert (%S+)"
        h2_port = ports.free()
        local file = io.open(directory .. "/nginx.conf", "w")
        file:write((CONF:gsub("DIR", directory):gsub("PORT", h2_port):gsub("ORIGIN", port)))
        file:close()
        nginx = process.spawn { "/usr/sbin/nginx", "-p", directory, "-c", directory
          .. "/nginx.conf" }
        wait.for_("nginx to listen", function() return pcall(raw.connect, h2_port) end)
      end)

      teardown(function()
        nginx:kill()
        secure:kill()
        os.execute("rm -r " .. directory)
      end)

      local function over(more)
        local rq = { port = h2_port, scheme = "https", authority = "origin.test" }
        for key, value in pairs(more or {}) do rq[key] = value end
        return rq
      end

      it("speaks it when the server offers it", function()
        start { ca_file = cert }
        local finish, head, body = run("/who", over())
        assert.equal("none", finish.kind, finish.message)
        assert.equal(2, head.minor)
        assert.equal(200, head.status)
        assert.truthy(body:find("^HTTP/2.0 %d+ origin.test$"), body)
        for _, field in ipairs(head.headers) do assert.not_equal(":", field[1]:sub(1, 1)) end
        p:finish()
      end)

      it("lets nobody wait for a transfer that is slow, paused or cancelled", function()
        start { ca_file = cert }
        local answer = OK_HEAD .. "Content-Length: "
        local size = 30000000
        run("/who", over())
        local before = p:stat().rss_kb
        local slow = go(script("wait:200", "send:" .. answer .. "0\r\n\r\n"), over())
        local paused = {}
        for i = 1, 4 do
          paused[i] = go(script("send:" .. answer .. size .. "\r\n\r\n", "zeros:" .. size),
            over { on_data = "pause", text = false })
        end
        local gone = go(script "hang", over())
        for _, id in ipairs(paused) do p:wait(id, "data") end
        p:send("cancel", gone)
        for i = 1, 50 do
          local finish = run("/who", over())
          assert.equal("none", finish.kind, finish.message)
          assert.is_true(i == 1 or finish.reused)
        end
        local grown = p:stat().rss_kb - before
        assert.is_true(grown < size / 1024, "what is paused was buffered: " .. grown .. " KiB")
        for _, id in ipairs(paused) do
          assert.equal(1, #p:of(id, "data"))
          p:send("resume", id)
          assert.equal("none", p:wait_end(id).kind)
          assert.equal(size, p:wait_end(id).delivered)
        end
        assert.equal("none", p:wait_end(slow).kind)
        p:finish()
      end)

      it("streams bodies of known and unknown length", function()
        start { ca_file = cert }
        for _, length in ipairs { false, 3000000 } do
          local finish, _, body = run("/ok", over {
            method = "POST", idempotent = 0, fill = 3000000, length = length or nil })
          assert.equal("none", finish.kind, finish.message)
          assert.equal(3000000, finish.sent_bytes)
          assert.truthy(body:find "POST /ok", body)
        end
        p:finish()
      end)

      it("sends the target as it is, and the method", function()
        start { ca_file = cert }
        local _, _, body = run("/ok/%2e%2E/x;y?q=%zz", over { method = "PATCH" })
        assert.truthy(json.decode(body).head:find("PATCH /ok/%2e%2E/x;y?q=%zz HTTP", 1, true), body)
        p:finish()
      end)

      it("calls an end of the connection in the middle of a body a reset", function()
        start { ca_file = cert }
        local finish = run(script("send:" .. OK_HEAD .. "Content-Length: 9\r\n\r\nabc", "wait:30",
          "reset"), over())
        assert.equal("reset", finish.kind, finish.message)
        assert.is_false(finish.retryable)
        p:finish()
      end)
    end)

    it("leaks no descriptor over many transfers of every fate", function()
      start()
      account()
      local fates = { { script "close" }, { script "reset" }, { "/ok" }, { "/ok", { port = 1 } },
        { script "hang", { total_ms = 20 } }, { script("send:junk\r\n\r\n", "hang") },
          { "/flaky" } }
      local function round()
        local ids = {}
        for _, fate in ipairs(fates) do ids[#ids + 1] = go(fate[1], fate[2]) end
        for _, id in ipairs(ids) do p:wait_end(id) end
      end
      for _ = 1, 3 do round() end
      local before = p:stat().fds
      for _ = 1, 20 do round() end
      assert.is_true(p:stat().fds <= before + 4, "grew from " .. before .. " to " .. p:stat().fds)
      p:finish()
    end)
  end)
end
