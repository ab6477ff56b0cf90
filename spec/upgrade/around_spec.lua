--- What is around an upgrade: sockets, sessions, streams, privileges and the service manager.
local binary = require "spec.support.binary"
local certificates = require "spec.support.certificates"
local ffi = require "ffi"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local socket = require "socket"
local tls = require "spec.support.tls_client"
local unix = require "socket.unix"
local wait = require "spec.support.wait"

ffi.cdef "unsigned getuid(void);"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /x", function() return "$(text)" end)
]]

local function slurp(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local function exists(path)
  return os.execute("test -e " .. path) == 0
end

local function upgraded(g)
  local verdict = g:upgrade()
  assert.equal(200, verdict.status, verdict.message)
  g:wait_upgraded()
  return verdict
end

describe("an upgrade keeps", function()
  local g, o
  after_each(function()
    if g then g:kill() end
    if o then o:kill() end
    g, o = nil, nil
  end)

  it("Unix sockets, and their files go when nobody listens any more", function()
    local path = os.tmpname()
    os.remove(path)
    g = gateway.start { path = path, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.listen("unix:$(path)", { mode = "0660" })
      weir.route("GET /x", function() return "ok" end)
    ]] }
    local head = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for _ = 1, 2 do
      upgraded(g)
      assert.equal("ok", raw.once(path, head).body)
      assert.equal("ok", g:get "/x".body)
    end
    assert(g:reload { [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /x", function() return "ok" end)
    ]] }.result == "live")
    assert.is_false(exists(path))
    g:stop()
  end)

  it("an admin socket that is a file, and `weir status` never fails", function()
    local admin = os.tmpname()
    os.remove(admin)
    local name = os.tmpname()
    local file = assert(io.open(name, "w"))
    file:write 'local weir = require "weir"\nweir.route("GET /x", function() return "ok" end)\n'
    file:close()
    local p = process.spawn { process.program "weir", "run", name, "--admin", admin, "--workers",
      1 }
    local function weir(...)
      local q = process.spawn { process.program "weir", ... }
      q:wait(60)
      local code, err = q.code, q:stderr()
      q:kill()
      return code, err
    end
    local function says(text)
      local q = process.spawn { process.program "weir", "status", "--json", "--admin", admin }
      q:wait(10)
      local out = q:stdout()
      q:kill()
      return out:find(text, 1, true)
    end
    wait.for_("it to be ready", function() return says '"ready":true' end)
    for _ = 1, 5 do
      local upgrade = process.spawn { process.program "weir", "upgrade", "--admin", admin }
      while not upgrade:is_over() do
        local code, err = weir("status", "--admin", admin)
        assert.equal(0, code, err)
      end
      assert.equal(0, upgrade.code, upgrade:stderr())
      upgrade:kill()
      wait.for_("the old one to be gone", function() return says '"stage":"none"' end)
    end
    assert.is_true(exists(admin))
    p:finish()
    assert.is_false(exists(admin))
    os.remove(name)
  end)

  it("TLS sessions of clients", function()
    local folder = certificates.new()
    local ca = folder:authority "root"
    local served = folder:make("served", { san = "DNS:a.example", by = ca })
    g = gateway.start { cert = served.cert, key = served.key, [[
      local weir = require "weir"
      weir.listen("127.0.0.1:$(port)", { tls = {
        certificates = { { cert = "$(cert)", key = "$(key)" } } } })
      weir.route("GET /x", function() return "ok" end)
    ]] }
    local go = folder.path .. "/go"
    local client = tls.start { ["do"] = "resume", port = g.port, sni = "a.example", path = "/x",
      times = 4, wait_for = go }
    client:line "waiting"
    upgraded(g)
    assert(io.open(go, "w")):close()
    assert.equal(4, tls.answer(client).resumed)
    folder:remove()
    g:stop()
  end)

  local STREAMS = [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local up = weir.upstream("events", { endpoints = { "http://127.0.0.1:$(origin)" } })
    weir.route("GET /*rest", { deadline = "60s" }, function(req) return up:forward(req) end)
  ]]
  local HEAD = "send:HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    .. "Transfer-Encoding: chunked\r\n\r\n"

  for _, flag in ipairs { "--http1.1", "--http2-prior-knowledge" } do
    it("server-sent events for as long as --drain, by curl " .. flag, function()
      o = origin.start()
      g = gateway.start { origin = o.port, STREAMS }
      local target = origin.target { HEAD, "send:5\r\nfirst\r\n", "until:go",
        "send:4\r\nlast\r\n0\r\n\r\n" }
      local client = process.spawn { "/usr/bin/curl", "-sSN", "--max-time", "60", flag,
        "http://127.0.0.1:" .. g.port .. target }
      wait.for_("the first event", function() return client:stdout() == "first" end)
      assert.equal(200, g:upgrade().status)
      wait.for_("one worker to have it", function() return g:status().upgrades.leaving == 1 end)
      o:release "go"
      assert.equal(0, client:wait(20), client:stderr())
      assert.equal("firstlast", client:stdout())
      client:kill()
      g:wait_upgraded()
      g:stop()
    end)
  end

  it("WebSockets for as long as --drain, and ends them then", function()
    local server = process.spawn { "/usr/bin/python3", "spec/support/tunnel.py", "raw" }
    g = gateway.start { raw = server:line "port (%d+)", drain = "1500ms", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local raw = weir.upstream("raw", { endpoints = { "http://127.0.0.1:$(raw)" },
        upgrade = true })
      weir.route("/*path", function(req) return raw:forward(req) end)
    ]] }
    local c = g:begin("GET", "/echo", { Connection = "Upgrade", Upgrade = "websocket" })
    assert.equal(101, c:head().status)
    assert.equal(200, g:upgrade().status)
    for i = 1, 20 do
      local bytes = ("\0\255%d"):format(i):rep(i * 10)
      assert.equal(bytes, c:send(bytes):read(#bytes))
    end
    g:wait_upgraded()
    local _, how = c:read_all()
    assert.is_truthy(how == "closed" or how == "reset", how)
    server:kill()
    g:stop()
  end)
end)

describe("the service manager", function()
  local manager, path, g
  before_each(function()
    path = os.tmpname()
    os.remove(path)
    manager = assert(unix.dgram())
    assert(manager:bind(path))
    manager:settimeout(0)
  end)
  after_each(function()
    if g then g:kill() end
    manager:close()
    os.remove(path)
  end)

  it("hears of an upgrade as of a reload, and of the same process", function()
    g = gateway.start { MAIN, text = "one", env = {
      NOTIFY_SOCKET = path, WATCHDOG_USEC = "400000" } }
    g:expect "upgrade"
    local words, watched = {}, 0
    local function listen()
      for text in function() return manager:receive() end do
        if text:find "WATCHDOG=1" then watched = watched + 1 end
        words[#words + 1] = text:match "^(READY)=1" or text:match "^(RELOADING)=1"
          or text:match "^(STOPPING)=1"
        assert.is_nil(text:find "MAINPID")
      end
      return table.concat(words, " ")
    end
    upgraded(g)
    wait.for_("it to be ready again", function() return listen() == "READY RELOADING READY" end)
    local seen = watched
    wait.for_("the watchdog", function()
      listen()
      return watched > seen
    end)
    g:stop()
    assert.equal("READY RELOADING READY STOPPING", listen())
  end)
end)

describe("privileges", function()
  local g, path
  after_each(function()
    if g then g:kill() end
    binary.remove(path)
  end)

  local function low_port()
    for port = 1023, 600, -1 do
      local s = socket.bind("127.0.0.1", port)
      if s then
        s:close()
        return port
      end
    end
    error "no port below 1024 is free"
  end

  local function capabilities(pid)
    local text = slurp("/proc/" .. pid .. "/status")
    return { text:match "\nCapInh:%s*(%x+)", text:match "\nCapPrm:%s*(%x+)",
      text:match "\nCapEff:%s*(%x+)", text:match "\nCapAmb:%s*(%x+)", text:match "\nUid:%s*(%d+)" }
  end

  it("are after an upgrade what they were before: ports below 1024, and nothing else", function()
    path = binary.new()
    local is_root = ffi.C.getuid() == 0
    g = gateway.start { MAIN, text = "one", program = path,
      user = is_root and "65534:65534" or nil }
    local before, workers = capabilities(g.process.pid), capabilities(g:pids()[1])
    upgraded(g)
    assert.same(before, capabilities(g.process.pid))
    assert.same(workers, capabilities(g:pids()[1]))
    assert.equal(2, g:status().confinement.workers)
    if is_root then
      local port = low_port()
      local verdict = g:reload { MAIN .. ("\n weir.listen '127.0.0.1:%d'"):format(port),
        text = "low" }
      assert.equal("live", verdict.result, verdict.message)
      assert.equal("low", raw.once(port, gateway.head("GET", "/x", { Connection = "close" })).body)
    end
    g:stop()
  end)
end)
