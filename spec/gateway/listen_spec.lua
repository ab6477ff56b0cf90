--- Where weir listens and who may come: PROXY headers, Unix sockets, IPv6, a limit for each client.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local PORTS = "\220\4\1\187"
local V2 = SIGNATURE .. "\33\17\0\15" .. "\203\0\113\7" .. "\198\51\100\1" .. PORTS .. "\4\0\0"
local V2_V6 = SIGNATURE .. "\33\33\0\36" .. "\32\1\13\184" .. ("\0"):rep(11) .. "\7"
  .. "\32\1\13\184" .. ("\0"):rep(11) .. "\1" .. PORTS
local GET = gateway.head("GET", "/who")

local function ask(address, bytes, options)
  local client = raw.connect(address, options)
  client:send(bytes)
  local r = client:response()
  client:close()
  return r
end

-- Is the connection closed without a byte of answer?
local function is_refused(address, bytes, options)
  local ok, client = pcall(raw.connect, address, options)
  if not ok then return true end -- it was, before the call returned
  client:try_send(bytes or "")
  local got = client:read_all()
  client:close()
  return got == ""
end

describe("a listener", function()
  local g, o, at, path
  local SCRIPT = [[
    local weir = require "weir"
    weir.listen("127.0.0.1:$(port)", { trusted_proxies = { "127.0.0.9", "unix" } })
    weir.listen("127.0.0.1:$(proxied)", { proxy_protocol = true })
    weir.listen("127.0.0.1:$(picky)", { proxy_protocol = { from = { "127.0.0.2", "10.0.0.0/8" } } })
    weir.listen("127.0.0.1:$(few)", { connections_per_client = 3 })
    weir.listen("127.0.0.1:$(both)", { connections_per_client = 2, proxy_protocol = true })
    weir.listen("[::]:$(dual)", { connections_per_client = 1 })
    weir.listen("unix:$(path)", { mode = "$(mode)", connections_per_client = 1 })
    weir.listen("unix:$(path).proxied", { proxy_protocol = { from = { "unix" } } })
    local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
    weir.route("GET /who", function(req) return req.client end)
    weir.route("GET /forward", function(req) return up:forward(req, { path = "/headers" }) end)
    weir.route("GET /wait", function() weir.sleep "5s" return "late" end)
  ]]

  setup(function()
    o = origin.start()
    at = {}
    for _, name in ipairs { "proxied", "picky", "few", "both", "dual" } do
      at[name] = ports.free()
    end
    path = os.tmpname() .. ".sock"
    local options = { workers = 2, origin = o.port, path = path, mode = "0600", SCRIPT }
    for name, port in pairs(at) do options[name] = port end
    g = gateway.start(options)
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function refused(reason)
    return g:metric("weir_server_connections_refused_total", 'reason="' .. reason .. '"')
  end

  describe("with proxy_protocol", function()
    it("takes the client that the header names", function()
      local cases = {
        { "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n", "203.0.113.7" },
        { "PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", "2001:db8::7" },
        { "PROXY UNKNOWN\r\n", "127.0.0.1" },
        { V2, "203.0.113.7" }, { V2_V6, "2001:db8::7" },
        { SIGNATURE .. "\32\0\0\0", "127.0.0.1" },
      }
      for _, case in ipairs(cases) do
        assert.equal(case[2], ask(at.proxied, case[1] .. GET).body, case[1])
      end
    end)

    it("takes it in pieces, and each request of the connection is the client's", function()
      local client = raw.connect(at.proxied)
      for i = 1, #V2 do client:send(V2:sub(i, i)) end
      for _ = 1, 3 do assert.equal("203.0.113.7", client:send(GET):response().body) end
      client:close()
    end)

    it("tells upstreams and the log who it is", function()
      local r = ask(at.proxied, "PROXY TCP4 203.0.113.8 198.51.100.1 56324 443\r\n"
        .. gateway.head("GET", "/forward", { ["X-Forwarded-For"] = "6.6.6.6" }))
      assert.truthy(r.body:find([[X-Forwarded-For: 203.0.113.8\r]], 1, true), r.body)
      assert.equal("203.0.113.8", g:wait_log("access", { client = "203.0.113.8" }).client)
    end)

    it("serves nobody without one, and answers nothing", function()
      local before = refused "proxy_protocol"
      for _, bytes in ipairs { GET, "PROXY TCP4 1.2.3.4\r\n" .. GET, "\22\3\1\0\5hello",
        SIGNATURE .. "\17\17\0\12" .. ("x"):rep(12) } do
        assert.is_true(is_refused(at.proxied, bytes))
      end
      wait.for_("them to be counted", function()
        return refused "proxy_protocol" == before + 4, refused "proxy_protocol"
      end)
    end)

    it("reads it from the networks named only", function()
      local header = "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n"
      assert.equal("203.0.113.7", ask(at.picky, header .. GET, { from = "127.0.0.2" }).body)
      assert.is_true(is_refused(at.picky, header .. GET, { from = "127.0.0.3" }))
      assert.is_true(is_refused(at.picky, GET))
    end)

    it("does not wait for it for ever", function()
      local client = raw.connect(at.proxied)
      client:send "PROXY TCP4 "
      assert.equal("", (client:read_all()))
    end)
  end)

  describe("with connections_per_client", function()
    -- A client that was answered. Those that left before make room when the worker has seen it.
    local function open_one(port, options)
      return wait.for_("room for the client", function()
        local ok, client = pcall(raw.connect, port, options)
        if not ok then return false end
        client:try_send(((options or {}).header or "") .. GET)
        local answered, r = pcall(client.response, client)
        if answered and r.status == 200 then return client end
        client:close()
        return false
      end)
    end

    local function open(port, count, options)
      local clients = {}
      for i = 1, count do clients[i] = open_one(port, options) end
      return clients
    end

    local function close(clients)
      for _, client in ipairs(clients) do client:close() end
    end

    it("closes what is over it, counts it, and has room again when one leaves", function()
      local before = refused "client_limit"
      local mine = open(at.few, 3)
      local others = open(at.few, 3, { from = "127.0.0.2" })
      assert.is_true(is_refused(at.few))
      assert.is_true(is_refused(at.few, GET, { from = "127.0.0.2" }))
      assert.equal(200, ask(at.few, GET, { from = "127.0.0.3" }).status)
      close { table.remove(mine) }
      close(open(at.few, 1))
      close(mine)
      close(others)
      wait.for_("them to be counted", function() return refused "client_limit" >= before + 2 end)
    end)

    it("means the client that the PROXY header names", function()
      local a = { header = "PROXY TCP4 203.0.113.1 198.51.100.1 1 2\r\n" }
      local b = { header = "PROXY TCP4 203.0.113.2 198.51.100.1 1 2\r\n" }
      local clients = open(at.both, 2, a)
      assert.is_true(is_refused(at.both, a.header .. GET))
      close(open(at.both, 1, b))
      close(clients)
      close(open(at.both, 2, a))
    end)

    it("takes the first 64 bits of an IPv6 address for one client", function()
      local function header(address)
        return { header = ("PROXY TCP6 %s 2001:db8::1 1 2\r\n"):format(address) }
      end
      local clients = open(at.both, 1, header "2001:db8:1:1::1")
      clients[2] = open(at.both, 1, header "2001:db8:1:1:ffff::2")[1]
      assert.is_true(is_refused(at.both, header("2001:db8:1:1::3").header .. GET))
      clients[3] = open(at.both, 1, header "2001:db8:1:2::1")[1]
      close(clients)
    end)

    it("counts over all workers, and forgets those of a worker that died", function()
      local clients = open(at.few, 3)
      g:expect "worker.exit"
      for _, pid in ipairs(g:pids()) do os.execute("kill -9 " .. pid) end
      wait.for_("successors", function()
        for _, w in ipairs(g:status().workers) do if w.restarts == 0 then return false end end
        return true
      end)
      g:workers_live()
      close(clients)
      close(open(at.few, 3))
    end)
  end)

  describe("on IPv6", function()
    it("takes both families on [::], each client under its one address", function()
      assert.equal("::1", ask(at.dual, GET, { host = "::1" }).body)
      assert.equal("127.0.0.1", ask(at.dual, GET).body)
      assert.equal("127.0.0.5", ask(at.dual, GET, { from = "127.0.0.5" }).body)
    end)

    it("tells upstreams so", function()
      local r = ask(at.dual, gateway.head("GET", "/forward"), { host = "::1" })
      assert.truthy(r.body:find([[X-Forwarded-For: ::1\r]], 1, true), r.body)
      assert.equal("::1", g:wait_log("access", { client = "::1" }).client)
    end)
  end)

  describe("on a Unix socket", function()
    local function mode_of(file)
      local pipe = io.popen("stat -c %a " .. file)
      local mode = pipe:read "*l"
      pipe:close()
      return mode
    end

    it("serves, and its clients are called unix", function()
      for _ = 1, 20 do assert.equal("unix", ask(path, GET).body) end
      assert.equal("600", mode_of(path))
    end)

    it("believes a trusted proxy there", function()
      assert.equal("203.0.113.5", ask(path, gateway.head("GET", "/who",
        { ["X-Forwarded-For"] = "203.0.113.5" })).body)
      local r = ask(path, gateway.head("GET", "/forward", { ["X-Forwarded-For"] = "203.0.113.5" }))
      assert.truthy(r.body:find([[X-Forwarded-For: 203.0.113.5\r]], 1, true), r.body)
    end)

    it("takes PROXY headers there", function()
      assert.equal("203.0.113.7", ask(path .. ".proxied", V2 .. GET).body)
      assert.is_true(is_refused(path .. ".proxied", GET))
    end)

    it("limits no client there, for all are one", function()
      local clients = {}
      for i = 1, 5 do clients[i] = raw.connect(path) clients[i]:send(GET):response() end
      for _, client in ipairs(clients) do client:close() end
    end)

    it("keeps socket and connections over a reload, which may change its mode", function()
      local client = raw.connect(path)
      assert.equal("unix", client:send(GET):response().body)
      g.vars.mode = "0666"
      assert.equal("live", g:reload({ (SCRIPT:gsub("%$%(mode%)", "0666")) }).result)
      assert.equal("666", mode_of(path))
      assert.equal("unix", client:send(GET):response().body)
      client:close()
      assert.equal("unix", ask(path, GET).body)
    end)

    it("takes the place of a socket that nobody answers on, and of nothing else", function()
      local stale = os.tmpname() .. ".sock"
      local server = require "socket.unix".stream()
      assert(server:bind(stale))
      server:close() -- the file stays
      local second = gateway.start { workers = 1, path = stale, [[
        local weir = require "weir"
        weir.listen "unix:$(path)"
        weir.route("GET /who", function(req) return req.client end)
      ]] }
      assert.equal("unix", ask(stale, GET).body)
      assert.equal("660", mode_of(stale))
      local code, err = gateway.fail_to_start { workers = 1, path = stale, [[
        require "weir".listen "unix:$(path)"
      ]] }
      assert.equal(69, code)
      assert.truthy(err:find("cannot listen on unix:" .. stale .. ": Address already in use", 1,
        true), err)
      assert.equal("unix", ask(stale, GET).body, "the other one has not suffered")
      second:stop()
      assert.is_nil(io.open(stale), "its file is gone")
      local file = io.open(stale, "w")
      file:write "precious"
      file:close()
      code = gateway.fail_to_start { workers = 1, path = stale, [[
        require "weir".listen "unix:$(path)"
      ]] }
      assert.equal(69, code)
      assert.equal("precious", io.open(stale):read "*a")
      os.remove(stale)
    end)
  end)

  it("says what is wrong with its options", function()
    local cases = {
      { 'weir.listen "unix:run.sock"', "'unix:run.sock' is not an address" },
      { 'weir.listen("unix:/" .. ("x"):rep(107))', "at most 107 bytes, this one has 108" },
      { 'weir.listen("127.0.0.1:1", { mode = "0600" })', "is no Unix socket and has no mode" },
      { 'weir.listen("unix:/x", { mode = "0999" })', "an octal mode" },
      { 'weir.listen("127.0.0.1:1", { proxy_protocol = { from = { "ten" } } })',
        "'ten' is not a network" },
      { 'weir.listen("127.0.0.1:1", { connections_per_client = 0 })', "connections_per_client" },
      { 'weir.listen "127.0.0.1:1" weir.listen(":1") weir.listen "127.0.0.1:1"',
        "the address is listened on already" },
    }
    for _, case in ipairs(cases) do
      local code, err = gateway.fail_to_start { 'local weir = require "weir"\n' .. case[1] }
      assert.equal(78, code, case[1])
      assert.truthy(err:find("main.lua:2", 1, true) and err:find(case[2], 1, true), err)
    end
  end)
end)
