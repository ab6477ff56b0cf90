-- Who may talk to the admin listener, what is known of who did, and the stream of events.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local TOKEN = "0123456789abcdef-token"
local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local guarded = weir.policy("pay", { weir.breaker {} })
  weir.route("GET /x", function() return guarded(function() return "fine" end) end)
]]

local function token_file(text, mode)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  assert(os.execute(("chmod %s %s"):format(mode or "600", path)) == 0)
  return path
end

local function weir(g, arguments, env)
  local command = { process.program "weir", env = env }
  for _, argument in ipairs(arguments) do command[#command + 1] = argument end
  command[#command + 1] = "--admin"
  command[#command + 1] = g.admin
  local child = process.spawn(command)
  return child:wait(), child:stdout(), child:stderr()
end

describe("the admin listener on TCP", function()
  local g

  local function ask(method, path, fields)
    fields = fields or {}
    fields.Host = fields.Host or "127.0.0.1:" .. g.admin_port
    fields.Connection = "close"
    return raw.once(g.admin_port, gateway.head(method, path, fields, ""))
  end

  setup(function()
    g = gateway.start { workers = 1, SCRIPT }
    g:expect "admin.action"
    g:expect "breaker.transition"
  end)
  teardown(function() g:stop() end)

  it("takes orders of its own pages, and of no others", function()
    local own = "http://127.0.0.1:" .. g.admin_port
    local open = "/breakers/open?name=pay"
    assert.equal(200, ask("POST", open, { Origin = own }).status)
    assert.equal(200, ask("POST", "/breakers/auto?name=pay", { Origin = own }).status)
    for _, origin in ipairs {
      "null", "https://127.0.0.1:" .. g.admin_port, "http://127.0.0.1", own .. "0", own .. "/",
      "http://127.0.0.1:" .. g.port, "http://localhost:" .. g.admin_port, "",
    } do
      assert.equal(403, ask("POST", open, { Origin = origin }).status, origin)
    end
    -- Its own name is what the request says it is called, and that is a loopback one.
    assert.equal(403, ask("POST", open, { Host = "evil.example",
      Origin = "http://evil.example" }).status)
    assert.equal("closed", g:breaker("pay").state)
  end)

  it("logs who ordered what, and what became of it", function()
    ask("POST", "/breakers/open?name=pay")
    ask("POST", "/breakers/auto?name=pay")
    ask("POST", "/breakers/open?name=nix&value=3")
    ask("POST", "/generations/promote")
    local done = g:wait_log("admin.action", { action = "/breakers/auto" })
    assert.equal("pay", done.name)
    assert.equal("done", done.result)
    assert.matches("^127%.0%.0%.1:%d+$", done.by)
    local refused = g:wait_log("admin.action", { action = "/breakers/open", name = "nix" })
    assert.equal("refused", refused.result)
    assert.equal(404, refused.status)
    assert.equal("3", refused.value)
    assert.equal(400, g:wait_log("admin.action", { action = "/generations/promote" }).status)
    assert.same({}, g:log("admin.action", { action = "/status" }))
  end)

  local function watch(fields)
    local client = raw.connect(g.admin_port)
    fields = fields or {}
    fields.Host = "127.0.0.1"
    client:send(gateway.head("GET", "/events", fields))
    client.answer = client:head()
    return client
  end

  -- The next event of a stream.
  local function event(client)
    local id, name, data = client:read_until("\n\n"):match
      "(i?d?[^\n]-)\n?event: (%S+)\ndata: ([^\n]*)\n\n$"
    return { id = id, name = name, data = json.decode(data) }
  end

  local function status_of(client)
    local seen
    repeat seen = event(client) until seen.name == "status"
    return seen.data
  end

  it("streams its status each second", function()
    local client = watch()
    assert.equal("text/event-stream", client.answer.headers["content-type"])
    local first, second = status_of(client), status_of(client)
    assert.equal("pay", first.breakers[1].name)
    assert.is_true(second.uptime_s > first.uptime_s)
    client:close()
  end)

  -- The next log line of a stream that fits.
  local function line_of(client, name, fields)
    while true do
      local seen = event(client)
      local fits = seen.name == "event" and seen.data.event == name
      for key, value in pairs(fields or {}) do fits = fits and seen.data[key] == value end
      if fits then return seen end
    end
  end

  it("streams transitions as they happen, and first those that were", function()
    ask("POST", "/breakers/open?name=pay&why=early")
    local client = watch()
    assert.equal("forced_open", line_of(client, "breaker.transition").data.to)
    ask("POST", "/breakers/auto?name=pay")
    local closed = line_of(client, "breaker.transition", { to = "closed" })
    assert.equal("pay", closed.data.name)
    client:close()
    -- Who comes again says what it had, and gets what came since; a stranger gets all.
    ask("POST", "/breakers/open?name=pay&why=late")
    client = watch { ["Last-Event-ID"] = closed.id:match "id: (.+)" }
    assert.equal("admin.action", line_of(client, "admin.action").data.event)
    local first = line_of(client, "breaker.transition")
    assert.same({ "closed", "forced_open" }, { first.data.from, first.data.to })
    client:close()
    for _, stranger in ipairs { "", "x", "00000000.0-1", "0-1.", closed.id .. ".9999-1.1-.-" } do
      client = watch { ["Last-Event-ID"] = stranger }
      line_of(client, "breaker.transition", { to = "forced_open" })
      line_of(client, "breaker.transition", { to = "closed" })
      client:close()
    end
    ask("POST", "/breakers/auto?name=pay")
  end)

  it("does not wait for a watcher who does not read, and tells it what it missed", function()
    local client = watch()
    local poster = raw.connect(g.admin_port)
    local name = ("n"):rep(7000)
    for _ = 1, 1500 do
      poster:send(gateway.head("POST", "/breakers/open?name=" .. name, { Host = "127.0.0.1" }, ""))
      assert.equal(404, poster:response().status)
    end
    poster:close()
    local seen
    repeat seen = event(client) until seen.name == "missed"
    assert.is_true(seen.data.missed > 0)
    status_of(client)
    client:close()
    -- So is one who was away for that long.
    client = watch()
    local id
    repeat
      seen = event(client)
      id = seen.name == "event" and seen.id:match "id: (.+)" or id
    until id and seen.name == "status"
    client:close()
    poster = raw.connect(g.admin_port)
    for _ = 1, 30 do
      poster:send(gateway.head("POST", "/breakers/open?name=" .. name, { Host = "127.0.0.1" }, ""))
      assert.equal(404, poster:response().status)
    end
    poster:close()
    client = watch { ["Last-Event-ID"] = id }
    repeat seen = event(client) until seen.name == "missed"
    assert.is_true(seen.data.missed > 0 and seen.data.missed <= 30, seen.data.missed)
    client:close()
  end)

  it("bounds who watches at once, and lets others come when they leave", function()
    local clients = {}
    -- Somebody who left has a place until that is seen.
    local function take_place(i)
      wait.for_("a place", function()
        clients[i] = watch()
        if clients[i].answer.status == 200 then return true end
        clients[i]:close()
      end)
      status_of(clients[i])
    end
    for i = 1, 16 do take_place(i) end
    local before = g:metric("weir_limits_reached_total", 'limit="admin_streams"')
    assert.equal(503, watch().answer.status)
    local after = g:metric("weir_limits_reached_total", 'limit="admin_streams"')
    assert.equal(1, after - before)
    clients[1]:close()
    take_place(1)
    for _, client in ipairs(clients) do client:close() end
  end)

  it("ends streams when another program takes over, which has them again", function()
    local own = gateway.start { workers = 1, SCRIPT }
    local function begin()
      local client = raw.connect(own.admin_port)
      client:send(gateway.head("GET", "/events", { Host = "127.0.0.1" }))
      assert.equal(200, client:head().status)
      return client
    end
    local before = begin()
    assert.equal(200, own:upgrade().status)
    local rest, is_ended = before:read_all()
    assert.is_truthy(is_ended)
    assert.equal("0\r\n\r\n", rest:sub(-5)) -- in order
    local after = begin()
    assert.equal("pay", status_of(after).breakers[1].name)
    after:close()
    own:wait_upgraded()
    own:stop()
  end)

  it("ends streams when it stops", function()
    local own = gateway.start { workers = 1, SCRIPT }
    local client = raw.connect(own.admin_port)
    client:send(gateway.head("GET", "/events", { Host = "127.0.0.1" }))
    assert.equal(200, client:head().status)
    own:stop()
    client:close()
  end)
end)

describe("the admin listener with a token", function()
  local g, path

  setup(function()
    path = token_file(TOKEN .. "\n")
    g = gateway.start { workers = 1, admin_token_file = path, token = TOKEN, SCRIPT }
    for _, event in ipairs { "admin.action", "breaker.transition" } do g:expect(event) end
  end)
  teardown(function()
    g:stop()
    os.remove(path)
  end)

  local function ask(method, target, authorization)
    return raw.once(g.admin_port, gateway.head(method, target, { Host = "127.0.0.1",
      Connection = "close", Authorization = authorization }, ""))
  end

  it("answers nobody else but probes", function()
    for _, shown in ipairs { false, "Bearer", "Bearer wrong", "Bearer " .. TOKEN .. "x",
      "Bearer " .. TOKEN:sub(1, -2), "Basic " .. TOKEN, "Digest " .. TOKEN, TOKEN } do
      local r = ask("GET", "/status", shown or nil)
      assert.equal(401, r.status, tostring(shown))
      assert.matches("Basic", r.headers["www-authenticate"])
      assert.equal(401, ask("POST", "/breakers/open?name=pay", shown or nil).status)
      assert.equal(401, ask("GET", "/nowhere", shown or nil).status)
    end
    assert.equal(200, ask("GET", "/livez").status)
    assert.equal(200, ask("GET", "/readyz").status)
    assert.equal(401, g:wait_log("admin.action", { action = "/breakers/open" }).status)
  end)

  it("takes it as Bearer, and as the password of a browser's user", function()
    assert.equal(200, ask("GET", "/status", "Bearer " .. TOKEN).status)
    assert.equal(200, ask("GET", "/status", "bearer  " .. TOKEN).status)
    local mime = require "mime"
    for _, user in ipairs { "", "a", "ab", "admin" } do
      assert.equal(200, ask("GET", "/status", "Basic " .. mime.b64(user .. ":" .. TOKEN)).status)
    end
    assert.equal(401, ask("GET", "/status", "Basic " .. mime.b64(TOKEN .. ":")).status)
    assert.equal(401, ask("GET", "/status", "Basic " .. ("A"):rep(5000)).status)
  end)

  it("is shown by the verbs of the command line", function()
    local code, _, err = weir(g, { "breaker", "ls" })
    assert.equal(77, code)
    assert.matches("asks for a token", err)
    local out
    code, out = weir(g, { "breaker", "ls" }, { WEIR_ADMIN_TOKEN_FILE = path })
    assert.equal(0, code)
    assert.matches("pay", out)
    assert.equal(0, (weir(g, { "breaker", "open", "pay" }, { WEIR_ADMIN_TOKEN_FILE = path })))
    assert.equal(0, (weir(g, { "breaker", "auto", "pay" }, { WEIR_ADMIN_TOKEN_FILE = path })))
  end)

  it("is no token when others may read it, or it is short", function()
    for text, case in pairs {
      [TOKEN] = { "644", "others may read" }, [("x"):rep(15)] = { "600", "no token" },
      ["has spaces in its middle"] = { "600", "no token" }, [""] = { "600", "no token" },
    } do
      local bad = token_file(text, case[1])
      local code, err = gateway.fail_to_start { admin_token_file = bad, SCRIPT }
      os.remove(bad)
      assert.equal(2, code)
      assert.matches(case[2], err)
    end
    local code, err = gateway.fail_to_start { admin_token_file = "/nowhere/token", SCRIPT }
    assert.equal(2, code)
    assert.matches("No such file", err)
  end)
end)

describe("the admin listener on a Unix socket", function()
  it("names the user and the process of an order, and asks for no token", function()
    local socket = os.tmpname()
    os.remove(socket)
    local path = token_file(TOKEN)
    local child
    local folder = os.tmpname() .. ".d"
    assert(os.execute("mkdir " .. folder) == 0)
    local file = assert(io.open(folder .. "/main.lua", "w"))
    file:write((SCRIPT:gsub("%$%(port%)", tostring(require("spec.support.ports").free()))))
    file:close()
    child = process.spawn { process.program "weir", "run", folder .. "/main.lua", "--admin", socket,
      "--workers", 1, "--admin-token-file", path }
    wait.for_("weir to be ready", function()
      return (weir({ admin = socket }, { "breaker", "open", "pay" })) == 0
    end, 20)
    local line = wait.for_("the line", function()
      return child:stdout():match '[^\n]*"admin%.action"[^\n]*"done"[^\n]*'
    end)
    local by = json.decode(line).by
    local uid = io.popen("id -u"):read "*n"
    assert.matches("^uid " .. uid .. ", pid %d+$", by)
    child:signal "TERM"
    assert.equal(0, child:wait(20))
    os.remove(path)
    os.execute("rm -rf " .. folder)
  end)
end)
