--- HTTP/2 of the server (spec/native/server_echo.c) with real clients, and what they are promised.
local h2 = require "spec.support.h2"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

describe("http/2", function()
  local server, port

  local function start(...)
    server = process.spawn { process.program "server_echo", "--via", "weir", ... }
    port = server:line "port (%d+)"
  end

  local function one(case)
    return h2.run(port, { case })[1]
  end

  local function stream(case, number)
    local result = one(case)
    return result.streams[number or "1"], result
  end

  after_each(function() server:finish() end)

  describe("serves", function()
    it("curl, by prior knowledge", function()
      start()
      local body, code = h2.command("curl -s --http2-prior-knowledge "
        .. "-w ' %%{http_version} %%{http_code}' http://127.0.0.1:%d/hello", port)
      assert.equal("hello 2 200", body)
      assert.equal(0, code)
    end)

    it("HTTP/1.1 on the same port", function()
      start()
      assert.equal("hello", raw.once(port, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n").body)
    end)

    it("nghttp, and its priorities of RFC 7540 that nobody heeds", function()
      start()
      local text, code = h2.command("nghttp -v http://127.0.0.1:%d/hello", port)
      assert.equal(0, code, text)
      assert.truthy(text:find("SETTINGS_MAX_CONCURRENT_STREAMS(0x03):100", 1, true), text)
      assert.truthy(text:find("SETTINGS_NO_RFC7540_PRIORITIES(0x09):1", 1, true), text)
    end)

    it("h2load, 100 streams on each of 64 connections, without a fault", function()
      start("--quiet")
      local text = h2.command("h2load -n 12800 -c 64 -m 100 http://127.0.0.1:%d/hello", port)
      assert.truthy(text:find("12800 succeeded, 0 failed, 0 errored, 0 timeout", 1, true), text)
    end)

    it("large bodies both ways, whole", function()
      start "--quiet"
      local file = os.tmpname()
      assert.equal(0, os.execute("head -c 3000000 /dev/urandom > " .. file))
      local text, code = h2.command("sh -c 'curl -s --http2-prior-knowledge -T %s "
        .. "http://127.0.0.1:%d/echo | cmp - %s'", file, port, file)
      os.remove(file)
      assert.same({ "", 0 }, { text, code })
    end)

    it("a preface that comes byte by byte", function()
      start()
      assert.equal(200, stream "preface_slow".status)
    end)

    it("a hundred requests at once on one connection", function()
      start "--quiet"
      local result = one "many=100"
      local ok = 0
      for _, s in pairs(result.streams) do if s.status == 200 and s.ended then ok = ok + 1 end end
      assert.equal(100, ok)
    end)
  end)

  describe("answers", function()
    it("with fields in lower case, a length and a date", function()
      start("--server", "weir")
      local headers = stream "get".headers
      headers.date = headers.date:gsub("%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT", "*")
      headers["x-request-id"] = #headers["x-request-id"]
      assert.same({
        [":status"] = "200", ["content-type"] = "text/plain", date = "*", server = "weir",
        via = "1.1 weir", ["x-request-id"] = 32, ["content-length"] = "5",
      }, headers)
    end)

    it("HEAD with the length of the body that GET would have had, and no body", function()
      start()
      local s = stream "head_method"
      assert.equal("5", s.headers["content-length"])
      assert.same({ 0, true }, { s.body_bytes, s.ended })
    end)

    it("Expect: 100-continue when the body is wanted", function()
      start()
      local s = stream "expect_continue"
      assert.is_true(s.continued)
      assert.equal("hello", s.body)
    end)

    it("a request whose trailers nobody takes", function()
      start()
      assert.equal("hello", stream "request_trailers".body)
    end)

    it("padding without running out of window", function()
      start()
      assert.equal(600, stream "padded".body_bytes)
    end)

    it("frames of an unknown type with silence", function()
      start()
      assert.equal(200, stream "unknown_frame".status)
    end)
  end)

  describe("lets a stream fail alone", function()
    it("when the layer above breaks it off: INTERNAL_ERROR", function()
      start()
      local s, result = stream("two_batches", "5")
      assert.equal(h2.INTERNAL_ERROR, result.resets["1"])
      assert.equal(200, s.status)
    end)

    it("when the client resets it: the layer above hears that it is gone", function()
      start()
      one "gone"
      assert.truthy(server:line "gone /hold cancelled: the client reset the stream")
      assert.truthy(server:line "end /hold")
    end)

    it("when its response is shorter than promised", function()
      start()
      assert.equal(h2.INTERNAL_ERROR, one "get=/short".resets["1"])
      local s = stream "get=/excess"
      assert.equal(s.headers["content-length"], tostring(s.body_bytes))
    end)
  end)

  describe("flow", function()
    it("a body that nobody reads holds back neither its connection nor memory", function()
      start "--quiet"
      local s, result = stream("stalled_upload", "3")
      assert.equal("4194304", s.body)
      assert.equal(0, result.stalled_windows)
    end)

    it("responses that nobody takes end in their time, each by itself", function()
      start("--quiet", "--send-timeout", "300ms")
      local result = one "zero_window"
      assert.equal(200, result.neighbour)
      for number = 1, 39, 2 do assert.equal(h2.CANCEL, result.resets[tostring(number)]) end
      assert.same({}, result.goaway)
      assert.is_true(server:rss_peak() < 200 * 1024 * 1024)
    end)

    it("a body that does not come is answered with 408", function()
      start("--body-timeout", "300ms")
      local s, result = stream "slow_body"
      assert.equal(408, s.status)
      assert.equal(200, result.neighbour)
    end)

    it("a head that does not end ends the connection", function()
      start("--head-timeout", "300ms")
      local result = one "slow_head"
      assert.equal(h2.ENHANCE_YOUR_CALM, result.goaway[1][2])
      assert.same({ true, 200 }, { result.closed, result.neighbour })
    end)

    it("a connection that is idle is closed with GOAWAY", function()
      start("--keep-alive-timeout", "300ms")
      local result = one "idle"
      assert.same({ { 0, h2.NO_ERROR } }, result.goaway)
    end)
  end)

  it("drains: says so, waits for what is on its way, tells the last stream, and closes", function()
    start()
    local client = h2.start(port, { "drain" })
    client:line "ready"
    server:signal "TERM"
    wait.for_("the listener to go", function() return not pcall(raw.connect, port) end)
    local result = h2.results(client, 1)[1]
    assert.same({ { 0x7fffffff, 0 }, { 3, 0 } }, result.goaway)
    assert.equal(200, result.streams["1"].status)
    assert.equal(200, result.streams["3"].status)
    assert.is_true(result.closed)
  end)
end)
