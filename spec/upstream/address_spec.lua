--- Where a transfer may go, over every transport: IPv4, IPv6, names, Unix sockets.
local json = require "cjson"
local probe = require "spec.support.probe"
local process = require "spec.support.process"
local zone = require "spec.support.zone"

local function folder()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkdir -m 700 " .. path) == 0)
  return path
end

for _, transport in ipairs { "h1", "curl" } do
  describe("an address of transport " .. transport, function()
    local dir, origin, port, path, p, z

    setup(function()
      dir = folder()
      path = dir .. "/origin.sock"
      origin = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--ipv6", "--unix",
        path }
      port = origin:line "port (%d+)"
    end)

    teardown(function()
      origin:kill()
      os.execute("rm -r " .. dir)
    end)

    after_each(function()
      if p then p:kill() end
      if z then z:kill() end
      p, z = nil, nil
    end)

    local function start(options)
      options = options or {}
      options.transport, options.hosts = transport, options.hosts or "/dev/null"
      options.requests = { port = port, total_ms = 10000 }
      p = probe.start(options)
    end

    local function run(more)
      local finish, _, text = p:call("/ok", more)
      return finish, text:sub(1, 1) == "{" and json.decode(text) or nil
    end

    it("may be IPv6", function()
      start()
      local finish, seen = run { host = "::1", authority = "[::1]:" .. port }
      assert.equal("none", finish.kind, finish.message)
      assert.equal("[::1]:" .. port, finish.address)
      assert.truthy(seen.head:find("\r\nHost: [::1]:" .. port .. "\r\n", 1, true), seen.head)
      local again = run { host = "::1", authority = "[::1]:" .. port }
      assert.is_true(again.reused)
      p:finish()
    end)

    it("names IPv6 in brackets when it fails", function()
      start()
      local finish = run { host = "::1", port = 1, authority = "[::1]:1" }
      assert.equal("connect", finish.kind)
      assert.equal("http://[::1]:1: Connection refused", finish.message)
      p:finish()
    end)

    it("may be a name with IPv6 alone, or with one family that does not answer", function()
      z = zone.start {
        ["six.test"] = { aaaa = { "::1" } },
        ["both.test"] = { a = { "127.0.0.9" }, aaaa = { "::1" } },
      }
      start { servers = z.servers }
      for _, name in ipairs { "six.test", "both.test" } do
        local finish = run { host = name, authority = name }
        assert.equal("none", finish.kind, finish.message)
        assert.equal("[::1]:" .. port, finish.address)
      end
      p:finish()
    end)

    it("may be a Unix socket, whose connections are reused", function()
      start()
      local finish, first = run { host = path, authority = "localhost", port = 80 }
      assert.equal("none", finish.kind, finish.message)
      assert.equal("unix:" .. path, finish.address)
      assert.is_false(finish.reused)
      assert.equal("GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n", first.head)
      local again, second = run { host = path, authority = "shop.test", port = 80 }
      assert.is_true(again.reused)
      assert.equal(first.connection, second.connection)
      assert.truthy(second.head:find("\r\nHost: shop.test\r\n", 1, true))
      local sent, third = run { host = path, authority = "localhost", port = 80, method = "PUT",
        fill = 500000, length = "500000" }
      assert.equal("none", sent.kind, sent.message)
      assert.equal(500000, third.body_bytes)
      p:finish()
    end)

    it("keeps the connections of two sockets apart", function()
      local other_path = dir .. "/other.sock"
      local other = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--unix",
        other_path }
      other:line "port (%d+)"
      start()
      for i = 1, 3 do
        local _, here = run { host = path, authority = "localhost", port = 80 }
        local _, there = run { host = other_path, authority = "localhost", port = 80 }
        assert.equal(1, there.connection)
        assert.equal(i, there.served)
        assert.is_true(here.connection > 1)
      end
      p:finish()
      other:kill()
    end)

    it("says what is wrong with a Unix socket", function()
      start()
      local missing = dir .. "/gone.sock"
      local finish = run { host = missing, authority = "localhost", port = 80 }
      assert.equal("connect", finish.kind)
      assert.equal("nothing", finish.sent)
      assert.is_true(finish.retryable)
      assert.equal(("http://unix:%s: No such file or directory"):format(missing), finish.message)
      local long = "/" .. ("x"):rep(107)
      finish = run { host = long, authority = "localhost", port = 80 }
      assert.equal("invalid", finish.kind)
      assert.truthy(finish.message:find("the path of the Unix socket is too long", 1, true),
        finish.message)
      p:finish()
    end)

    it("fails at once while the backlog of a Unix socket is full", function()
      local deaf_path = dir .. "/deaf.sock"
      local deaf = process.spawn { "/usr/bin/python3", "-c", [[
import signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(0)
c = socket.socket(socket.AF_UNIX)
c.connect(sys.argv[1])
print("full", flush=True)
signal.pause()
]], deaf_path }
      deaf:line "(full)"
      start()
      local finish = run { host = deaf_path, authority = "localhost", port = 80 }
      deaf:kill()
      assert.equal("connect", finish.kind, finish.message)
      assert.equal("nothing", finish.sent)
      assert.is_true(finish.retryable)
      if transport == "h1" then
        assert.equal(("http://unix:%s: its backlog is full"):format(deaf_path), finish.message)
      end
      p:finish()
    end)

    describe("whose connections begin with a preamble", function()
      local proxied, proxied_path, proxied_port

      local function hex(text)
        return (text:gsub(".", function(ch) return ("%02x"):format(ch:byte()) end))
      end

      local function to(preamble, more)
        local rq = { port = proxied_port, preamble = preamble }
        for key, value in pairs(more or {}) do rq[key] = value end
        local finish, seen = run(rq)
        assert.equal("none", finish.kind, finish.message)
        assert.equal(hex(preamble), seen.preamble)
        return seen, finish
      end

      local ADA, BEN = "PROXY ADA\r\n", "PROXY BEN\r\n"

      before_each(function()
        proxied_path = dir .. "/proxied.sock"
        os.remove(proxied_path)
        proxied = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--proxied",
          "--unix", proxied_path }
        proxied_port = proxied:line "port (%d+)"
      end)

      after_each(function() proxied:kill() end)

      it("sends it first, and keeps them for requests with the same one, or for none", function()
        start()
        local first = to(ADA)
        local other = to(BEN)
        assert.not_equal(first.connection, other.connection)
        local second, finish = to(ADA)
        assert.equal(transport == "h1", finish.reused)
        assert.equal(transport == "h1", first.connection == second.connection)
        assert.equal("GET /ok HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", second.head)
        local post = to(BEN, { method = "POST", idempotent = 0, fill = 300000, length = 300000 })
        assert.equal(300000, post.body_bytes)
        p:finish()
      end)

      it("sends it to Unix sockets", function()
        start()
        to(ADA, { host = proxied_path, authority = "localhost", port = 80 })
        p:finish()
      end)

      it("sends it to the address of a name that takes it", function()
        z = zone.start { ["a.test"] = { a = { "127.0.0.9", "127.0.0.1" } } }
        start { servers = z.servers }
        to(ADA, { host = "a.test" })
        p:finish()
      end)

      it("sends it again when a pooled one turns out dead", function()
        start()
        to(ADA)
        for _ = 1, 20 do
          local finish, seen = run { port = proxied_port, preamble = ADA, target = "/flaky" }
          assert.equal("none", finish.kind, finish.message)
          assert.is_nil(seen and seen.preamble)
        end
        p:finish()
      end)

      it("says what went wrong, and that nothing was sent", function()
        start()
        local cases = { { port = 1 }, { port = 80, host = dir .. "/gone.sock",
          authority = "localhost" } }
        for _, case in ipairs(cases) do
          case.preamble = ADA
          local finish = run(case)
          assert.equal("connect", finish.kind, finish.message)
          assert.equal("nothing", finish.sent)
          assert.is_true(finish.retryable)
        end
        local finish = run { port = proxied_port, preamble = ("x"):rep(233) }
        assert.equal("invalid", finish.kind)
        p:finish()
      end)

      it("is cancelled, and closes with its transport, while it connects", function()
        start()
        -- Nobody accepts there: the backlog of one is taken.
        local deaf = process.spawn { "/usr/bin/python3", "-c", [[
import signal, socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(0)
c = [socket.socket() for _ in range(2)]
for one in c:
    one.setblocking(False)
    one.connect_ex(s.getsockname())
print("port", s.getsockname()[1], flush=True)
signal.pause()
]] }
        local deaf_port = deaf:line "port (%d+)"
        for i = 1, 3 do
          p:go("deaf" .. i, { port = deaf_port, target = "/", preamble = ADA, total_ms = 60000 })
        end
        to(ADA)
        p:send("cancel", "deaf1")
        p:wait("deaf1", "cancelled")
        p:finish()
        deaf:kill()
      end)

      if transport == "curl" then
        it("sends it before TLS", function()
          local secure = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--tls",
            dir, "--proxied" }
          local cert = secure:line "cert (%S+)"
          start { ca_file = cert }
          local more = { port = secure:line "port (%d+)", scheme = "https",
            authority = "origin.test" }
          local first = to(ADA, more)
          local second = to(ADA, more)
          assert.not_equal(first.connection, second.connection)
          p:finish()
          secure:kill()
        end)
      end
    end)

    if transport == "curl" then
      it("may be a Unix socket over TLS, for the authority's name", function()
        local secure_path = dir .. "/secure.sock"
        local secure = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--tls", dir,
          "--unix", secure_path }
        local cert = secure:line "cert (%S+)"
        secure:line "port (%d+)"
        start { ca_file = cert }
        local more = { host = secure_path, scheme = "https", authority = "origin.test",
          port = 443 }
        local finish = run(more)
        assert.equal("none", finish.kind, finish.message)
        assert.equal("unix:" .. secure_path, finish.address)
        assert.is_true(run(more).reused)
        more.authority = "other.test"
        finish = run(more)
        assert.equal("tls", finish.kind)
        assert.truthy(finish.message:find("https://unix:" .. secure_path .. ": ", 1, true),
          finish.message)
        p:finish()
        secure:kill()
      end)
    end
  end)
end
