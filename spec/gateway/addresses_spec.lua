--- Endpoints at Unix sockets and IPv6 addresses, as clients and operators see them.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local health = { path = "/ok", interval = "100ms", rise = 1, fall = 1 }
  local sick = { path = "$(sick)", interval = "100ms", rise = 1, fall = 1 }
  local function serve(name, options)
    local up = weir.upstream(name, options)
    weir.route("/" .. name .. "/*path", function(req)
      return up:forward(req, { path = "/" .. req.params.path })
    end)
  end
  serve("sock", { endpoints = { "http://unix:$(path)" }, health = health })
  serve("deep", { endpoints = { "http://unix:$(path):/ok/" } })
  serve("mine", { endpoints = { "http://unix:$(path)" }, host = "client" })
  serve("gone", { endpoints = { "http://unix:$(path).gone" }, outlier = false })
  serve("six", { endpoints = { "http://[::1]:$(origin)" }, health = health })
  serve("secure", { endpoints = { "https://unix:$(secure)" }, health = health,
    tls = { ca = "$(ca)", server_name = "origin.test" } })
  local tls = { ca = "$(ca)", server_name = "origin.test" }
  weir.upstream("sick a", { endpoints = { "http://unix:$(path)" }, health = sick })
  weir.upstream("sick b", { endpoints = { "http://[::1]:$(origin)" }, health = sick })
  weir.upstream("sick c", { endpoints = { "https://unix:$(secure)" }, health = sick,
    tls = tls })
  weir.route("GET /call", function(req)
    local res, err = weir.http.get(req.headers["x-url"])
    return weir.json(200, res and { body = res.body } or { kind = err.kind })
  end)
  serve("mixed", { balance = "round_robin", endpoints = { "http://127.0.0.1:$(origin)",
    "http://unix:$(path)", "http://[::1]:$(origin)" } })
]]

describe("endpoints", function()
  local dir, origin, secure, g

  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    assert(os.execute("mkdir -m 700 " .. dir) == 0)
    origin = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--ipv6", "--unix",
      dir .. "/a.sock" }
    secure = process.spawn { "/usr/bin/python3", "spec/support/origin.py", "--tls", dir, "--unix",
      dir .. "/tls.sock" }
    secure:line "port (%d+)"
    local answer = "send:HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n"
    local sick = "/run?" .. answer:gsub("[^%w:]", function(ch)
      return ("%%%02X"):format(ch:byte())
    end)
    g = gateway.start { MAIN, workers = 1, sick = sick, path = dir .. "/a.sock",
      secure = dir .. "/tls.sock", ca = secure:line "cert (%S+)",
      origin = origin:line "port (%d+)" }
  end)

  teardown(function()
    g:stop()
    origin:kill()
    secure:kill()
    os.execute("rm -r " .. dir)
  end)

  local function seen(path, headers)
    local r = g:get(path, headers)
    assert.equal(200, r.status, r.body)
    return json.decode(r.body).head
  end

  it("at a Unix socket get a Host that they can know, and paths behind their prefix", function()
    local head = seen "/sock/ok"
    assert.equal("GET /ok HTTP/1.1\r\nHost: localhost\r\n", head:match "^.-\r\n.-\r\n")
    head = seen "/deep/x"
    assert.equal("GET /ok/x HTTP/1.1\r\nHost: localhost\r\n", head:match "^.-\r\n.-\r\n")
    head = seen("/mine/ok", { Host = "shop.example:81" })
    assert.truthy(head:find("\r\nHost: shop.example:81\r\n", 1, true), head)
  end)

  it("at a Unix socket may speak TLS", function()
    assert.truthy(seen("/secure/ok"):find("\r\nHost: localhost\r\n", 1, true))
  end)

  it("at an IPv6 address have it in brackets in the Host field", function()
    local head = seen "/six/ok"
    assert.truthy(head:find("\r\nHost: [::1]:" .. origin:line "port (%d+)" .. "\r\n", 1, true),
      head)
  end)

  it("at Unix sockets are for upstreams: no URL of anybody else leads to one", function()
    local r = g:get("/call", { ["X-URL"] = "http://unix:" .. dir .. "/a.sock:/ok" })
    assert.equal("dns", json.decode(r.body).kind) -- the host is called "unix"
    local url = "http://127.0.0.1:" .. origin:line "port (%d+)" .. "?only=query"
    r = g:get("/call", { ["X-URL"] = url })
    assert.equal("GET /?only=query HTTP/1.1", json.decode(json.decode(r.body).body).head:match
      "^[^\r]*")
  end)

  it("of all kinds stand side by side in one upstream", function()
    local counts = {}
    for _ = 1, 9 do seen "/mixed/ok" end
    local lines = wait.for_("nine access lines", function()
      local found = g:log("access", { upstream = "mixed" })
      return #found == 9 and found
    end)
    for _, entry in ipairs(lines) do
      counts[entry.endpoint] = (counts[entry.endpoint] or 0) + 1
    end
    local port = origin:line "port (%d+)"
    assert.same({ ["127.0.0.1:" .. port] = 3, ["[::1]:" .. port] = 3,
      ["unix:" .. dir .. "/a.sock"] = 3 }, counts)
  end)

  it("are checked wherever they are", function()
    g:expect "endpoint.transition"
    g:expect "upstream.panic"
    for _, name in ipairs { "sick a", "sick b", "sick c" } do
      -- "refused" is a status; what did not connect or not speak TLS would have another cause.
      local line = g:wait_log("endpoint.transition", { upstream = name, to = "unhealthy" })
      assert.equal("refused", line.cause, name)
    end
    for _, u in ipairs(g:status().upstreams) do
      if not u.name:find "^sick" then assert.is_true(u.endpoints[1].healthy, u.name) end
    end
  end)

  it("are named in status, metrics and errors by their URL", function()
    local url = "http://unix:" .. dir .. "/a.sock"
    for _, u in ipairs(g:status().upstreams) do
      if u.name == "sock" then assert.equal(url, u.endpoints[1].url) end
    end
    assert.truthy(g:metrics():find('endpoint="' .. url .. '"', 1, true))
    local r = g:get "/gone/ok"
    assert.equal(502, r.status)
    local line = g:wait_log("access", { upstream = "gone" })
    assert.equal("unix:" .. dir .. "/a.sock.gone", line.endpoint)
  end)
end)

describe("an endpoint's URL", function()
  local long = ("x"):rep(120)
  local cases = {
    { "http://unix:/" .. long, "a Unix socket's path has at most 107 bytes, this one has 121" },
    { "http://unix:/run/a.sock?x=y", "a socket's path has no '?', no '#' and no space" },
    { "http://unix:/run/a.sock#10.0.0.1", "a socket's path has no '?', no '#' and no space" },
    { "https://unix:/run/a.sock:api",
      "behind a socket's path and ':' stands a path that begins with '/'" },
    { "http://[fe80::1%25eth0]:9000", "zone ids of IPv6 addresses are not taken" },
    { "http://[::1", "the host's IPv6 literal has no closing bracket" },
    { "http://[::g]:80", "the host is not an IPv6 address" },
    { "http://a.test:80#10.0.0.300", "behind '#' stands a numeric address" },
  }
  for _, case in ipairs(cases) do
    it("is refused: " .. case[1]:sub(1, 40), function()
      local code, err = gateway.fail_to_start { url = case[1], [[
        local weir = require "weir"
        weir.upstream("up", { endpoints = { "$(url)" } })
      ]] }
      assert.equal(78, code)
      assert.truthy(err:find("main.lua:2: upstream 'up': ", 1, true), err)
      assert.truthy(err:find(case[2], 1, true), err)
    end)
  end
end)
