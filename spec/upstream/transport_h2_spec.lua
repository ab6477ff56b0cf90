--- HTTP/2, in the clear and over TLS: what transport.h promises, over connections that transfers
--- share. What is TLS's own stands in transport_tls_spec.lua.
local certificates = require "spec.support.certificates"
local json = require "cjson"
local origins = require "spec.support.origin"
local probe = require "spec.support.probe"
local process = require "spec.support.process"
local wait = require "spec.support.wait"
local zone = require "spec.support.zone"

local CANCEL, REFUSED = 8, 7

-- A target that has the origin do these steps.
local function script(...) return origins.target { ... } end

local function once(...) return (script(...):gsub("^/run", "/once")) end

for _, scheme in ipairs { "http", "https" } do
  local is_tls = scheme == "https"
  describe("transport h2 of " .. scheme, function()
    local dir, path, folder, ca, pair, origin, port, p, z

    local function serve(...)
      local command = { "/usr/bin/python3", "spec/support/h2_origin.py", ... }
      if is_tls then
        for _, word in ipairs { "--tls", pair.cert, pair.key } do command[#command + 1] = word end
      end
      local server = process.spawn(command)
      return server, server:line "port (%d+)"
    end

    setup(function()
      if is_tls then
        folder = certificates.new()
        ca = folder:authority "root"
        pair = folder:make("server", { by = ca,
          san = "IP:127.0.0.1,DNS:localhost,DNS:a.test,DNS:shop.example" })
      end
      dir = os.tmpname()
      os.remove(dir)
      assert(os.execute("mkdir -m 700 " .. dir) == 0)
      path = dir .. "/h2.sock"
      origin, port = serve("--unix", path)
    end)

    teardown(function()
      origin:kill()
      os.execute("rm -r " .. dir)
      if folder then folder:remove() end
    end)

    after_each(function()
      if p then p:kill() end
      if z then z:kill() end
      p, z = nil, nil
    end)

    local function start(options)
      options = options or {}
      options.transport, options.hosts = "h2", "/dev/null"
      options.ca_file = ca and ca.cert
      options.requests = { port = port, total_ms = 20000, scheme = scheme }
      p = probe.start(options)
    end

    local function go(...) return p:begin(...) end
    local function run(...) return p:call(...) end

    local function account(more)
      local finish, _, body = run("/ok", more)
      assert.equal("none", finish.kind, finish.message)
      return json.decode(body), finish
    end

    local function counts()
      local _, _, body = run "/counts"
      return json.decode(body)
    end

    describe("sends", function()
      it("exactly the fields it was given, in lower case, and nothing of its own", function()
        start()
        local seen = account { authority = "Shop.Example:8443", method = "PUT", body = "hello",
          trailers = 1, headers = { { "X-One", "1" }, { "X-ONE", "again" }, { "X-Empty", "" },
            { "Expect", "100-continue" } } }
        assert.same({ { ":method", "PUT" }, { ":scheme", scheme },
          { ":authority", "Shop.Example:8443" }, { ":path", "/ok" }, { "x-one", "1" },
          { "x-one", "again" }, { "x-empty", "" }, { "te", "trailers" },
          { "content-length", "5" } }, seen.head)
        assert.equal(5, seen.body_bytes)
        p:finish()
      end)

      it("bodies of known and unknown length, with back-pressure", function()
        start()
        for _, length in ipairs { false, 3000000 } do
          local seen, finish = account { method = "POST", idempotent = 0, fill = 3000000,
            length = length or nil }
          assert.equal(3000000, seen.body_bytes)
          assert.equal(3000000, finish.sent_bytes)
        end
        p:finish()
      end)

      it("nothing of what no request may have", function()
        start()
        for _, case in ipairs { { target = "/a b" }, { target = "/", method = "CONNECT" },
          { target = "/", authority = "a/b" }, { target = "/", authority = "" },
          { target = "/", headers = { { "Connection", "x" } } } } do
          local finish = run(case.target, case)
          assert.equal("invalid", finish.kind)
          assert.equal("nothing", finish.sent)
        end
        p:finish()
      end)
    end)

    describe("receives", function()
      it("a head, a body and trailers", function()
        start()
        local id = go(script("head:200,x-a=1,x-a=2,content-length=5", "data:he", "data:llo",
          "trailers:grpc-status=0"))
        local finish = p:wait_end(id)
        assert.equal("none", finish.kind, finish.message)
        local head = p:of(id, "head")[1]
        assert.same({ { "x-a", "1" }, { "x-a", "2" }, { "content-length", "5" } }, head.headers)
        assert.equal(2, head.minor)
        assert.equal(5, head.length)
        assert.equal("hello", p:body(id))
        assert.equal("0", p:of(id, "trailers")[1]["grpc-status"])
        p:finish()
      end)

      it("the final head only, and heads without a body", function()
        start()
        local finish, head, body = run(script("head:100", "head:103,link=x", "head:200", "data:ab",
          "end"))
        assert.equal("none", finish.kind, finish.message)
        assert.same({ 200, "ab" }, { head.status, body })
        for _, case in ipairs { { "only:204" }, { "only:304,content-length=9" },
          { "only:200,content-length=9", "HEAD" } } do
          finish, head, body = run(script(case[1]), { method = case[2] or "GET" })
          assert.equal("none", finish.kind, finish.message)
          assert.equal("", body)
          assert.equal(tonumber(case[1]:match "%d+"), head.status)
        end
        p:finish()
      end)

      it("a response that ends before its request does", function()
        start()
        for _, last in ipairs { "end", "reset:0" } do
          local id = go(script("early", "head:413,content-length=2", "data:no", "end", last ~= "end"
            and last or "hang"), { method = "POST", idempotent = 0, stream = 1 })
          local finish = p:wait_end(id)
          assert.equal("none", finish.kind, finish.message)
          assert.equal("no", p:body(id))
          account() -- the connection goes on
        end
        p:finish()
      end)

      it("bytes both ways at once", function()
        start()
        local id = go(script("early", "head:200", "data:ab", "hang"), { method = "POST",
          idempotent = 0, stream = 1 })
        p:wait(id, "data")
        p:send("write", id, "more")
        p:send("cancel", id)
        p:wait(id, "cancelled")
        p:finish()
      end)
    end)

    describe("calls it a protocol error", function()
      local many, long = {}, {}
      for i = 1, 101 do many[i] = ",x-" .. i .. "=y" end
      for i = 1, 9 do long[i] = ",x-" .. i .. "=" .. ("y"):rep(4000) end
      local interims = {}
      for i = 1, 33 do interims[i] = "head:103" end
      interims[34] = "only:200"
      local cases = {
        { "when there are more than 100 fields", { "only:200" .. table.concat(many) } },
        { "when the head passes 32 KiB", { "only:200" .. table.concat(long) } },
        { "when a name has capitals", { "only:200,X-A=b" } },
        { "when a value has a line end", { "only:200,x-a=b\r\nx-c: d" } },
        { "when a field is for the connection", { "only:200,connection=close" } },
        { "when the body is shorter than its length", { "head:200,content-length=5", "data:abc",
          "end" }, true },
        { "when the body is longer than its length", { "head:200,content-length=2", "data:abc",
          "end" }, true },
        { "when two lengths differ", { "only:200,content-length=1,content-length=2" } },
        { "when there are two statuses", { "only:200,:status=201" } },
        { "when interim heads never end", interims },
      }
      for _, case in ipairs(cases) do
        it(case[1], function()
          start()
          local finish, head = run(script(unpack(case[2])))
          assert.equal("protocol", finish.kind, finish.message)
          if not case[3] then assert.is_nil(head) end
          assert.truthy(finish.message:find(scheme .. "://127.0.0.1:" .. port .. ": ", 1, true))
          account()
          p:finish()
        end)
      end

      it("when the answer is not HTTP/2", function()
        local old = process.spawn { "/usr/bin/python3", "spec/support/origin.py" }
        start()
        local finish, head = run("/ok", { port = old:line "port (%d+)" })
        old:kill()
        local is_known = finish.kind == "protocol" or finish.kind == "reset"
        assert.is_true(is_tls and finish.kind == "tls" or not is_tls and is_known, finish.message)
        assert.is_nil(head)
        p:finish()
      end)
    end)

    describe("shares connections", function()
      it("among transfers, whatever their Host; over TLS among those of one name", function()
        start()
        local before = counts().connections
        local ids = {}
        for i = 1, 60 do
          ids[i] = go("/ok", { authority = is_tls and "a.test:" .. i or "h" .. i .. ".test" })
        end
        local connections = {}
        for _, id in ipairs(ids) do
          assert.equal("none", p:wait_end(id).kind)
          connections[json.decode(p:body(id)).connection] = true
        end
        assert.is_nil(next(connections, next(connections)))
        assert.equal(is_tls and before + 1 or before, counts().connections)
        p:finish()
      end)

      it("up to the streams that the server allows", function()
        local few, few_port = serve("--streams", "2")
        start()
        run("/ok", { port = few_port })
        local ids = {}
        for i = 1, 9 do ids[i] = go("/ok", { port = few_port }) end
        for _, id in ipairs(ids) do assert.equal("none", p:wait_end(id).kind) end
        local _, _, body = run("/counts", { port = few_port })
        assert.is_true(json.decode(body).most <= 2)
        p:finish()
        few:kill()
      end)

      it("not with a request that asks for a fresh one", function()
        start()
        local first = account()
        local second, finish = account { fresh = 1 }
        assert.not_equal(first.connection, second.connection)
        assert.is_false(finish.reused)
        p:finish()
      end)

      it("with a request that may be sent once if it was heard of within a second", function()
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

      it("not past their idle time", function()
        start { idle = 200 }
        local first = account()
        wait.pause(300)
        assert.not_equal(first.connection, account().connection)
        p:finish()
      end)

      it("at Unix sockets, and by preamble", function()
        start()
        local one, finish = account { host = path, authority = "localhost", port = 80 }
        assert.equal("unix:" .. path, finish.address)
        assert.equal(one.connection,
          account { host = path, authority = "localhost", port = 80 }.connection)
        local proxied, proxied_port = serve "--proxied"
        local ada = { port = proxied_port, preamble = "PROXY ADA\r\n" }
        local ben = { port = proxied_port, preamble = "PROXY BEN\r\n" }
        local first = account(ada)
        assert.equal("50524f5859204144410d0a", first.preamble)
        assert.equal(first.connection, account(ada).connection)
        assert.not_equal(first.connection, account(ben).connection)
        p:finish()
        proxied:kill()
      end)
    end)

    describe("sends twice only where that cannot do harm", function()
      it("what the server has refused, or not processed, whatever its method", function()
        start()
        account()
        for i, step in ipairs { "reset:" .. REFUSED, "goaway:0" } do
          local finish = run(once(step, "hang", "hang:" .. i), { method = "POST", idempotent = 0,
            body = "hello" })
          assert.equal("none", finish.kind, finish.message)
          assert.is_true(finish.resent)
        end
        p:finish()
      end)

      it("once: a second refusal is told, and that nothing was done", function()
        start()
        local finish = run(script("reset:" .. REFUSED), { method = "POST", idempotent = 0 })
        assert.equal("reset", finish.kind, finish.message)
        assert.is_true(finish.resent)
        assert.equal("nothing", finish.sent)
        assert.is_true(finish.retryable)
        p:finish()
      end)

      it("an idempotent one whose shared connection ends before a response", function()
        start()
        account()
        local finish = run(once("close", "hang", "hang:idempotent"))
        assert.equal("none", finish.kind, finish.message)
        assert.is_true(finish.resent)
        account()
        finish = run(script "close", { method = "POST", idempotent = 0, body = "x" })
        assert.equal("reset", finish.kind)
        assert.is_false(finish.resent)
        assert.equal("body", finish.sent)
        assert.is_false(finish.retryable)
        p:finish()
      end)

      it("nothing once a head has come, and no stream", function()
        start()
        account()
        local finish = run(script("head:200", "data:ab", "close"))
        assert.equal("reset", finish.kind)
        assert.is_false(finish.resent)
        account()
        local id = go(script("early", "close"), { method = "PUT", stream = 1 })
        p:send("write", id, "hello")
        finish = p:wait_end(id)
        assert.equal("reset", finish.kind)
        p:finish()
      end)
    end)

    describe("limits time", function()
      local function fires(more, what)
        local finish = run(more.target or script "hang", more)
        assert.equal("timeout", finish.kind, finish.message)
        assert.truthy(finish.message:find(what, 1, true), finish.message)
        assert.is_true(finish.ms >= 150 and finish.ms < 5000, finish.ms .. " ms")
      end

      it("of each phase, and in all", function()
        z = zone.start { ["slow.test"] = { a = { "127.0.0.1" }, delay = 3000 } }
        start { servers = z.servers, dns_timeout = 5000 }
        fires({ first_byte_ms = 150 }, "no response head within 150 ms")
        fires({ total_ms = 150 }, "no complete response within 150 ms")
        fires({ target = script("head:200", "data:ab", "hang"), between_ms = 150 },
          "no more of the body within 150 ms")
        fires({ host = "slow.test", connect_ms = 150 }, "the name did not resolve within 150 ms")
        account()
        p:finish()
      end)
    end)

    describe("tries addresses", function()
      it("of a name, one after the other", function()
        z = zone.start { ["a.test"] = { a = { "127.0.0.9", "127.0.0.1" } } }
        start { servers = z.servers }
        local _, finish = account { host = "a.test", authority = "a.test" }
        assert.equal("127.0.0.1:" .. port, finish.address)
        p:finish()
      end)

      it("and says what went wrong", function()
        start()
        local finish = run("/", { port = 1, idempotent = 0 })
        assert.equal("connect", finish.kind)
        assert.equal(scheme .. "://127.0.0.1:1: Connection refused", finish.message)
        assert.is_true(finish.retryable)
        finish = run("/", { host = dir .. "/gone.sock", authority = "localhost", port = 80 })
        assert.equal(("%s://unix:%s/gone.sock: No such file or directory"):format(scheme, dir),
          finish.message)
        p:finish()
      end)
    end)

    describe("streams with back-pressure", function()
      it("each for itself: one that is paused holds back nobody, and is not buffered", function()
        start()
        account()
        local before = p:stat().rss_kb
        local size = 20000000
        local paused = {}
        for i = 1, 4 do
          paused[i] = go(script("head:200", "zeros:" .. size, "end"), { on_data = "pause",
            text = false, total_ms = 60000 })
        end
        for _, id in ipairs(paused) do p:wait(id, "data") end
        for _ = 1, 30 do assert.is_true(select(2, account()).reused) end
        local grown = p:stat().rss_kb - before
        assert.is_true(grown < 8192, "what is paused was buffered: " .. grown .. " KiB")
        for _, id in ipairs(paused) do
          assert.equal(1, #p:of(id, "data"))
          p:send("resume", id)
        end
        for _, id in ipairs(paused) do assert.equal(size, p:wait_end(id, 60).delivered) end
        p:finish()
      end)

      it("to the end of what has come, though its connection is gone", function()
        start()
        local id = go(script("head:200", "zeros:65535", "end", "close"), { on_data = "pause" })
        p:wait(id, "data") -- one piece, or on a quick day all of them
        account { fresh = 1 }
        p:send("resume", id)
        local finish = p:wait_end(id)
        assert.equal("none", finish.kind, finish.message)
        assert.equal(65535, finish.delivered)
        p:finish()
      end)

      it("up: says stop and go", function()
        start()
        local size = 20 * 1048576
        local id = go("/ok", { method = "POST", idempotent = 0, fill = size, length = size,
          total_ms = 60000 })
        local finish = p:wait_end(id, 60)
        assert.equal("none", finish.kind, finish.message)
        assert.is_true(#p:of(id, "writable") > 0)
        assert.equal(size, json.decode(p:body(id)).body_bytes)
        p:finish()
      end)
    end)

    describe("cancels", function()
      it("the stream alone", function()
        start()
        local first = account()
        local id = go(script "hang")
        local other = account()
        p:send("cancel", id)
        p:wait(id, "cancelled")
        wait.for_("the reset", function()
          local resets = counts().resets
          return resets[#resets] == CANCEL
        end)
        assert.equal(first.connection, other.connection)
        assert.equal(first.connection, account().connection)
        assert.equal(0, #p:of(id, "end"))
        p:finish()
      end)

      for _, place in ipairs { "on_head", "on_data", "on_writable" } do
        it("inside " .. place, function()
          start()
          local more = { [place] = "cancel" }
          if place == "on_writable" then
            more.method, more.fill, more.length = "PUT", 3000000, 3000000
          end
          local id = go(script("head:200", "zeros:300000", "end"), more)
          p:wait(id, "cancelled")
          account()
          assert.equal(0, #p:of(id, "end"))
          p:finish()
        end)
      end

      it("what opens, and closes with its transport", function()
        z = zone.start { ["slow.test"] = { a = { "127.0.0.1" }, delay = 3000 } }
        start { servers = z.servers, dns_timeout = 5000 }
        local id = go("/ok", { host = "slow.test" })
        wait.for_("the question", function() return z:queries "slow.test" > 0 end)
        p:send("cancel", id)
        p:wait(id, "cancelled")
        for _ = 1, 5 do go(script "hang") end
        go("/ok", { host = "slow.test" })
        go(script("head:200", "zeros:300000", "end"), { on_data = "pause" })
        account()
        p:finish()
      end)
    end)

    it("leaks no descriptor over many transfers of every fate", function()
      start { idle = 200 }
      account()
      local fates = { { script "close" }, { script "reset:2" }, { "/ok" }, { "/ok", { port = 1 } },
        { script "hang", { total_ms = 20 } }, { script("head:200,X=y", "hang") },
        { script "goaway:0" } }
      local function round()
        local ids = {}
        for _, fate in ipairs(fates) do ids[#ids + 1] = go(fate[1], fate[2]) end
        for _, id in ipairs(ids) do p:wait_end(id) end
      end
      local before = p:stat().fds
      for _ = 1, 20 do round() end
      wait.for_("idle connections to go", function()
        local now = p:stat().fds
        return now <= before, now
      end)
      p:finish()
    end)
  end)
end
