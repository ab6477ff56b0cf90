--- TLS to upstreams: who is trusted, what is shown, and what is said when it fails.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local tls = require "spec.support.tls_client"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local function serve(name, url, tls, health, http2)
    local up = weir.upstream(name, { endpoints = { url }, tls = tls, health = health,
      http2 = http2 })
    weir.route("GET /" .. name, function(req)
      local res, err = up:forward(req, { path = "/" })
      if not res then return weir.json(502, { kind = err.kind, message = err.message }) end
      return res
    end)
  end
  local open = "https://127.0.0.1:$(open)"
  local closed = "https://127.0.0.1:$(closed)"
  serve("named", open, { ca = "$(ca)", server_name = "up.example" })
  serve("unnamed", open, { ca = "$(ca)" })
  serve("foreign", open, { ca = "$(other_ca)", server_name = "up.example" })
  serve("roots", open)
  serve("unverified", open, { verify = false })
  serve("shown", closed, { ca = "$(ca)", server_name = "up.example", cert = "$(cert)",
    key = "$(key)" }, { path = "/", interval = "100ms", rise = 1 })
  serve("hidden", closed, { ca = "$(ca)", server_name = "up.example" })
  local h2 = "https://127.0.0.1:$(h2)"
  local turning = { ca = "$(turning)", server_name = "up.example" }
  serve("h2", h2, { ca = "$(ca)", server_name = "up.example", cert = "$(cert)", key = "$(key)" },
    { path = "/", interval = "100ms", rise = 1 }, true)
  serve("h2hidden", h2, { ca = "$(ca)", server_name = "up.example" }, nil, true)
  serve("h2unnamed", h2, { ca = "$(ca)" }, nil, true)
  serve("h2roots", h2, nil, nil, true)
  serve("h2not", open, { ca = "$(ca)", server_name = "up.example" }, nil, true)
  serve("h2unverified", "https://127.0.0.1:$(h2open)", { verify = false }, nil, true)
  serve("turning", open, turning)
  serve("h2turning", "https://127.0.0.1:$(h2open)", turning, nil, true)
]]

local FRAME = [[
  local weir = require "weir"
  weir.upstream("u", { endpoints = { "https://a.example" },
    tls = { %s } })
]]

describe("TLS to an upstream", function()
  local folder, ca, other_ca, client, g, origins, turning

  local function start_origin(pair, client_ca)
    local p = process.spawn { "/usr/bin/python3", "spec/support/tls_origin.py", pair.cert, pair.key,
      client_ca and client_ca.cert or nil }
    origins[#origins + 1] = p
    return p:line "port (%d+)"
  end

  local function start_h2(pair, ...)
    local p = process.spawn { "/usr/bin/python3", "spec/support/h2_origin.py", "--tls", pair.cert,
      pair.key, ... }
    origins[#origins + 1] = p
    return p:line "port (%d+)"
  end

  setup(function()
    origins = {}
    folder = certificates.new()
    ca, other_ca = folder:authority "root", folder:authority "other"
    local server = folder:make("server", { san = "DNS:up.example", by = ca })
    client = folder:make("client", { by = ca })
    turning = folder.path .. "/turning.pem"
    assert(os.execute(("cp %s %s"):format(ca.cert, turning)) == 0)
    g = gateway.start { MAIN, workers = 1, open = start_origin(server),
      closed = start_origin(server, ca), h2 = start_h2(server, "--client-ca", ca.cert),
      h2open = start_h2(server), turning = turning,
      ca = ca.cert, other_ca = other_ca.cert, cert = client.cert, key = client.key }
  end)

  teardown(function()
    g:stop()
    for _, p in ipairs(origins) do p:kill() end
    folder:remove()
  end)

  local function ask(name)
    local r = g:get("/" .. name)
    return r.status, json.decode(r.body)
  end

  it("trusts the authority that is named, for the name that is given, and asks for that", function()
    local status, seen = ask "named"
    assert.equal(200, status)
    assert.equal("up.example", seen.name)
    assert.equal("http", seen.proto)
  end)

  for name, what in pairs {
    unnamed = "another name", foreign = "another authority", roots = "no authority of ours",
    h2unnamed = "another name, over HTTP/2", h2roots = "no authority of ours, over HTTP/2",
  } do
    it("fails with kind tls and a cause for " .. what, function()
      local status, err = ask(name)
      assert.equal(502, status)
      assert.equal("tls", err.kind)
      assert.matches("certificate", err.message)
    end)
  end

  it("takes anything when told not to verify, and weir check warns", function()
    assert.equal(200, (ask "unverified"))
    local out = tls.run { process.program "weir", "check", g.path }
    assert.is_truthy(out:find("tls.verify is false", 1, true), out)
  end)

  it("has its connections counted, like those in the clear", function()
    assert.equal(200, (ask "named"))
    wait.for_("an idle connection", function()
      return g:metric("http_client_open_connections", 'state="idle"') >= 1
        and g:metric("http_client_open_connections", 'state="active"') == 0
    end)
  end)

  it("shows a certificate where there is one", function()
    local status, seen = ask "shown"
    assert.equal(200, status)
    assert.equal("client", seen.client)
    wait.for_("the health check to show it too", function()
      return g:metric("weir_upstream_healthy", 'upstream="shown"') == 1
    end)
    local err
    status, err = ask "hidden"
    assert.equal(502, status)
    assert.equal("tls", err.kind, err.message)
  end)

  it("is the same over HTTP/2", function()
    local status, seen = ask "h2"
    assert.equal(200, status, seen.message)
    assert.same({ "client" }, seen.client)
    assert.equal("up.example", seen.name)
    assert.same({ ":scheme", "https" }, seen.head[2])
    wait.for_("the health check to speak it too", function()
      return g:metric("weir_upstream_healthy", 'upstream="h2"') == 1
    end)
    assert.equal(200, (ask "h2unverified"))
    for name, what in pairs { h2hidden = "it sent the TLS alert: ", h2not = "(by ALPN)" } do
      local err
      status, err = ask(name)
      assert.equal(502, status)
      assert.equal("tls", err.kind, err.message)
      assert.truthy(err.message:find(what, 1, true), err.message)
    end
  end)

  it("changes with a reload, and not before", function()
    local _, first = ask "h2turning"
    assert(os.execute(("cp %s %s"):format(other_ca.cert, turning)) == 0)
    assert.equal(200, (ask "turning"))
    assert.equal(first.connection, select(2, ask "h2turning").connection)
    assert.equal("live", g:reload({ MAIN .. "-- anew" }).result)
    for _, name in ipairs { "turning", "h2turning" } do
      local status, err = ask(name)
      assert.equal(502, status)
      assert.equal("tls", err.kind, err.message)
    end
    assert(os.execute(("cp %s %s"):format(ca.cert, turning)) == 0)
    assert.equal("live", g:reload({ MAIN .. "-- as before" }).result)
    for _, name in ipairs { "turning", "h2turning" } do assert.equal(200, (ask(name))) end
  end)

  it("is checked when the bundle is loaded", function()
    local expired = folder:make("expired", { by = ca, days = -1 })
    for _, case in ipairs {
      { 'ca = "/nowhere.pem"', "upstream 'u': cannot read '/nowhere.pem': No such" },
      { ('ca = "%s"'):format(client.key), "it holds no certificate in PEM" },
      { ('cert = "%s"'):format(client.cert), "cert and key go together" },
      { ('cert = "%s", key = "%s"'):format(client.cert, ca.key), "does not belong to certificate" },
      { ('cert = "%s", key = "%s"'):format(expired.cert, expired.key), "it expired at" },
      { 'server_name = "a b"', "server_name" },
    } do
      local path = folder.path .. "/main.lua"
      local file = assert(io.open(path, "w"))
      file:write(FRAME:format(case[1]))
      file:close()
      local out, err, code = tls.run { process.program "weir", "check", path }
      assert.equal(78, code)
      assert.is_truthy((out .. err):find(case[2], 1, true), out .. err)
      assert.is_truthy((out .. err):find("main.lua:2", 1, true), out .. err)
    end
  end)
end)
