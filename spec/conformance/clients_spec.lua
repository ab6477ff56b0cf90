--- Clients that people use, through weir to an upstream that tells what it got.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local process = require "spec.support.process"

-- Runs a program to its end; its standard output. Fails with standard error unless it ends with 0.
local function run(command)
  local p = process.spawn(command)
  local code = p:wait(60)
  local out, err = p:stdout(), p:stderr()
  p:kill()
  if code ~= 0 then error(("%s ended with %s: %s"):format(command[1], tostring(code), err), 2) end
  return out
end

local function write(bytes)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  return path
end

describe("the client", function()
  local g, o, base

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, log_level = "warn", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      weir.route("/none", function() return weir.response(404, "none\n") end)
      weir.route("GET /small", function() return "small" end)
      weir.route("/*rest", function(req) return up:forward(req) end)
    ]] }
    base = "http://127.0.0.1:" .. g.port
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  describe("curl", function()
    local function curl(...)
      return run { "/usr/bin/curl", "--silent", "--show-error", "--max-time", "20", ... }
    end

    it("keeps one connection for many requests", function()
      local urls = {}
      for i = 1, 20 do urls[i] = base .. "/ok?" .. i end
      local out = run { "/usr/bin/curl", "--silent", "--show-error", "--write-out",
        "\n%{http_code} %{num_connects}\n", unpack(urls) }
      local codes, connects = 0, 0
      for code, count in out:gmatch "\n(%d+) (%d+)\n" do
        assert.equal("200", code)
        codes, connects = codes + 1, connects + tonumber(count)
      end
      assert.same({ 20, 1 }, { codes, connects })
    end)

    it("uploads a body that it announces, and waits for no time-out", function()
      local path = write(("u"):rep(2000000))
      local out = curl("--header", "Expect: 100-continue", "--data-binary", "@" .. path,
        "--expect100-timeout", "15", "--write-out", "\n%{time_total}", base .. "/ok")
      os.remove(path)
      local account, seconds = out:match "^(.*)\n([%d.]+)$"
      assert.equal(2000000, json.decode(account).body_bytes)
      assert.is_nil(json.decode(account).head:find "Expect")
      assert.is_true(tonumber(seconds) < 14, "no 100 came: " .. seconds .. " s")
    end)

    it("uploads in chunks", function()
      local path = write(("c"):rep(300000))
      local account = json.decode(curl("--header", "Transfer-Encoding: chunked", "--upload-file",
        path, base .. "/ok"))
      os.remove(path)
      assert.equal(300000, account.body_bytes)
      assert.is_truthy(account.head:find("Transfer-Encoding: chunked\r\n", 1, true))
    end)

    it("asks for heads", function()
      local head = curl("--head", base .. origin.target {
        "send:HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-A: b\r\n\r\n" })
      assert.is_truthy(head:find("HTTP/1.1 200 OK\r\n", 1, true))
      assert.is_truthy(head:find("\r\nContent-Length: 1234\r\n", 1, true))
      assert.is_truthy(head:find("\r\nX-A: b\r\n", 1, true))
    end)

    it("asks for a part, and is told so", function()
      local out = curl("--range", "2-5", "--write-out", " %{http_code}", base .. origin.target {
        "send:HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/9\r\n"
          .. "Content-Length: 4\r\n\r\ncdef" })
      assert.equal("cdef 206", out)
      assert.is_truthy(json.decode(curl("--range", "2-5", base .. "/ok")).head
        :find("Range: bytes=2-5\r\n", 1, true))
    end)

    it("speaks HTTP/1.0", function()
      local out = curl("--http1.0", "--include", base .. "/ok")
      assert.is_truthy(out:find("\r\nConnection: close\r\n", 1, true))
      assert.is_truthy(out:find("Via: 1.0 weir", 1, true))
      out = curl("--http1.0", base .. origin.target {
        "send:HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "send:0\r\n\r\n" })
      assert.equal("hello", out)
    end)

    it("speaks HTTP/2 by prior knowledge: gets, heads and uploads", function()
      local h2 = "--http2-prior-knowledge"
      local account = curl(h2, "--write-out", " %{http_version} %{http_code}", base .. "/ok?2")
      assert.is_truthy(account:find " 2 200$")
      assert.is_truthy(account:find("GET /ok?2 HTTP/1.1", 1, true))
      assert.is_truthy(account:find("Via: 2 weir", 1, true))
      assert.is_truthy(curl(h2, "--head", base .. "/ok"):find "^HTTP/2 200")
      local path = write(("u"):rep(1000000))
      for _, flag in ipairs { "--data-binary", "--upload-file" } do
        local file = flag == "--data-binary" and "@" .. path or path
        assert.equal(1000000, json.decode(curl(h2, flag, file, base .. "/ok")).body_bytes)
      end
      os.remove(path)
    end)

    it("takes what is compressed as it is, and unpacks it itself", function()
      local path = os.tmpname()
      assert(os.execute("printf 'unpacked' | gzip -c > " .. path) == 0)
      local file = io.open(path, "rb")
      local bytes = file:read "*a"
      file:close()
      os.remove(path)
      local out = curl("--compressed", base .. origin.target {
        origin.answer("200 OK", bytes, "Content-Encoding: gzip\r\n") })
      assert.equal("unpacked", out)
    end)

    it("posts a form with a file", function()
      local path = write(("f"):rep(70000))
      local account = json.decode(curl("--form", "name=value", "--form", "file=@" .. path,
        base .. "/ok"))
      os.remove(path)
      assert.is_true(account.body_bytes > 70000)
      assert.is_truthy(account.head:find("multipart/form-data; boundary=", 1, true))
      assert.is_truthy(account.body:find('name="name"', 1, true))
    end)
  end)

  it("http.client of Python keeps its connection through all kinds of requests", function()
    assert.equal("fine\n", run { "/usr/bin/python3", "spec/conformance/clients/http_client.py",
      g.port })
  end)

  it("of Node, with a keep-alive agent, gets all its answers on few sockets", function()
    local counts = json.decode(run { "/usr/bin/node", "--no-warnings",
      "spec/conformance/clients/agent.mjs", g.port })
    assert.same({ sent = 400, fine = 400, sockets = 8, reused = 392 }, counts)
  end)

  it("wrk sees neither an error nor another status", function()
    local out = run { "/usr/bin/wrk", "-t", "1", "-c", "32", "-d", "1s", base .. "/small" }
    assert.is_truthy(out:find "Requests/sec", out)
    assert.is_nil(out:find "Socket errors", out)
    assert.is_nil(out:find "Non%-2xx", out)
  end)

  it("h2load sees every stream of every connection answered", function()
    local out = run { "/usr/bin/h2load", "-n", "2000", "-c", "8", "-m", "50", base .. "/small" }
    assert.is_truthy(out:find("2000 succeeded, 0 failed, 0 errored, 0 timeout", 1, true), out)
    assert.is_truthy(out:find("2000 2xx", 1, true), out)
  end)

  it("nghttp uploads, multiplies its request, and sees all streams end well", function()
    local path = write(("u"):rep(300000))
    local out = run { "/usr/bin/nghttp", "--data=" .. path, base .. "/ok" }
    assert.equal(300000, json.decode(out).body_bytes)
    os.remove(path)
    out = run { "/usr/bin/nghttp", "--multiply=50", "--stat", base .. "/small" }
    assert.equal(("small"):rep(50), out:match "^(%a-)%*%*%*")
    assert.equal(50, select(2, out:gsub("\n *%d+ [^\n]* 200 +%d+ /small", "")))
    out = run { "/usr/bin/nghttp", "--verbose", "--expect-continue", "--header=X-A: 1",
      "--trailer=x-sum: 1", "--data=/etc/hostname", base .. "/ok" }
    assert.is_truthy(out:find(":status: 100", 1, true), out)
    assert.is_truthy(out:find(":status: 200", 1, true), out)
    assert.is_nil(out:find("RST_STREAM", 1, true), out)
  end)

  it("websockets of Python talks to its own server as if nobody stood between", function()
    local server = process.spawn { "/usr/bin/python3", "spec/support/tunnel.py", "serve" }
    local sockets = gateway.start { upstream = server:line "port (%d+)", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("up", { endpoints = { "http://127.0.0.1:$(upstream)" },
        upgrade = { "websocket" } })
      weir.route("/*rest", function(req) return up:forward(req) end)
    ]] }
    local out = run { "/usr/bin/python3", "spec/support/tunnel.py", "talk",
      "ws://127.0.0.1:" .. sockets.port .. "/", 20 }
    assert.equal("ok 20\n", out)
    sockets:stop()
    server:kill()
  end)

  it("hey sees 200 alone, with and without keep-alive", function()
    for _, flag in ipairs { "-disable-compression", "-disable-keepalive" } do
      local out = run { "/usr/bin/hey", "-n", "1000", "-c", "50", flag, base .. "/small" }
      assert.is_truthy(out:find "%[200%]%s+1000 responses", out)
      assert.is_nil(out:find "Error distribution", out)
    end
  end)
end)
