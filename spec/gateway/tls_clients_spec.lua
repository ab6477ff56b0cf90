--- Clients' certificates: who must have one, what policies and upstreams learn, and what cannot be
--- claimed. And clients that take their time.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"
local raw = require "spec.support.raw"
local tls = require "spec.support.tls_client"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  local pair = { { cert = "$(cert)", key = "$(key)" } }
  weir.listen("127.0.0.1:$(port)", { tls = { certificates = pair, client_ca = "$(ca)" } })
  weir.listen("127.0.0.1:$(optional)", { tls = { certificates = pair, client_ca = "$(ca)",
    client_auth = "optional", tell_upstreams = true } })
  weir.listen("127.0.0.1:$(plain)", { trusted_proxies = { "127.0.0.9" } })
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  weir.route("GET /who", function(req)
    return weir.json(200, { tls = req.tls and true or false, client = req.tls and req.tls.client,
      verified = req.tls and req.tls.verified, claims = {
        req.headers["Client-Cert"] or "none", req.headers["X-SSL-Client-Verify"] or "none",
        req.headers["X-Forwarded-Client-Cert"] or "none", req.headers["X-Client-Cert-DN"] or "none",
        req.headers["X-SSL"] or "none" } })
  end)
  weir.route("/plan/*name", function(req) return up:forward(req) end)
]]

local CLAIMS = {
  ["Client-Cert"] = ":AAAA:", ["X-SSL-Client-Verify"] = "SUCCESS",
  ["X-Forwarded-Client-Cert"] = "Hash=1", ["X-Client-Cert-DN"] = "CN=root", ["X-SSL"] = "kept",
}

describe("a client's certificate", function()
  local folder, ca, other_ca, g, o, client, foreign, expired, slow

  setup(function()
    folder = certificates.new()
    ca, other_ca = folder:authority "root", folder:authority "other"
    local server = folder:make("a", { san = "DNS:a.example", by = ca })
    client = folder:make("billing", { by = ca, subject = "/O=Example/CN=billing",
      san = "DNS:billing.example,URI:spiffe://example/billing,email:b@example.org" })
    foreign = folder:make("foreign", { by = other_ca })
    expired = folder:make("expired", { by = ca, days = -1 })
    o = origin.start()
    g = gateway.start { MAIN, cert = server.cert, key = server.key, ca = ca.cert,
      optional = ports.free(), plain = ports.free(), origin = o.port }
    slow = raw.connect(g.port)
    slow:send "\22\3\1\2\0\1"
  end)

  teardown(function()
    g:stop()
    o:kill()
    folder:remove()
  end)

  local function ask(port, pair, headers, path)
    return tls.ask { ["do"] = "get", port = port, sni = "a.example", path = path or "/who",
      cert = pair and pair.cert or nil, key = pair and pair.key or nil, headers = headers }
  end

  it("is demanded where it is required", function()
    for _, pair in ipairs { false, foreign, expired } do
      local before = g:metric("weir_tls_handshake_failures_total", 'reason="certificate"')
      assert.is_truthy(ask(g.port, pair).error)
      wait.for_("the failure to be counted", function()
        return g:metric("weir_tls_handshake_failures_total", 'reason="certificate"') == before + 1
      end)
    end
    assert.equal(200, ask(g.port, client).status)
  end)

  it("is told to policies", function()
    local who = json.decode(ask(g.port, client).body)
    assert.is_true(who.verified)
    assert.equal("CN=billing,O=Example", who.client.subject)
    assert.equal("CN=root", who.client.issuer)
    assert.same({ "dns:billing.example", "uri:spiffe://example/billing", "email:b@example.org" },
      who.client.names)
    assert.matches("^%x+$", who.client.serial)
    assert.equal(64, #who.client.fingerprint)
  end)

  it("may be left out where it is optional, and must be good all the same", function()
    local who = json.decode(ask(g.vars.optional).body)
    assert.is_false(who.verified)
    assert.is_nil(who.client)
    assert.is_true(json.decode(ask(g.vars.optional, client).body).verified)
    assert.is_truthy(ask(g.vars.optional, foreign).error)
  end)

  it("cannot be claimed in header fields", function()
    local none = { "none", "none", "none", "none", "kept" }
    assert.same(none, json.decode(ask(g.vars.optional, nil, CLAIMS).body).claims)
    assert.same(none, json.decode(ask(g.vars.optional, client, CLAIMS).body).claims)
    local c = raw.connect(g.vars.plain)
    c:send(gateway.head("GET", "/who", CLAIMS))
    local who = json.decode(c:response().body)
    c:close()
    assert.same(none, who.claims)
    assert.is_false(who.tls)
  end)

  it("is told to upstreams by weir alone", function()
    local answer = origin.answer(200, "ok")
    o:plan("told", { answer, answer, answer })
    ask(g.vars.optional, client, CLAIMS, "/plan/told")
    ask(g.vars.optional, nil, CLAIMS, "/plan/told")
    ask(g.port, client, nil, "/plan/told")
    local heads = o:seen "told"
    local field = ":" .. certificates.der(client) .. ":"
    assert.is_truthy(heads[1]:find("Client-Cert: " .. field, 1, true), heads[1])
    assert.is_truthy(heads[1]:find("X-Forwarded-Proto: https", 1, true))
    assert.is_nil(heads[1]:find("AAAA", 1, true))
    assert.is_nil(heads[2]:find("Client-Cert:", 1, true))
    assert.is_nil(heads[3]:find("Client-Cert:", 1, true))
  end)

  it("is remembered by a resumed session of the same rules only", function()
    local c = { ["do"] = "resume", port = g.vars.optional, sni = "a.example", path = "/who",
      times = 4, cert = client.cert, key = client.key }
    local r = tls.ask(c)
    assert.equal(4, r.resumed)
    assert.equal("CN=billing,O=Example", json.decode(r.body).client.subject)
    c.then_port = g.port
    assert.equal(0, tls.ask(c).resumed)
  end)

  it("is not waited for longer than a handshake may take", function()
    wait.for_("the slow client to be closed", function()
      return g:metric("weir_tls_handshake_failures_total", 'reason="timeout"') == 1
    end, 15)
    slow:read_all()
    slow:close()
  end)
end)
