--- TLS with clients: who gets which certificate, what is refused and how, what scripts know.
local certificates = require "spec.support.certificates"
local gateway = require "spec.support.gateway"
local ports = require "spec.support.ports"
local raw = require "spec.support.raw"
local tls = require "spec.support.tls_client"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen("127.0.0.1:$(port)", { tls = { certificates = {
    { cert = "$(a_cert)", key = "$(a_key)" },
    { cert = "$(b_cert)", key = "$(b_key)" },
    { cert = "$(b_rsa_cert)", key = "$(b_rsa_key)" },
  } } })
  weir.route("GET /facts", function(req)
    local t = req.tls
    return weir.json(200, { scheme = req.scheme, version = t.version, cipher = t.cipher,
      sni = t.sni, protocol = t.protocol, resumed = t.resumed, verified = t.verified,
      client = t.client })
  end)
  weir.listen("127.0.0.1:$(behind)", { proxy_protocol = true, tls = { certificates = {
    { cert = "$(a_cert)", key = "$(a_key)" } } } })
  weir.route("GET /who", function(req) return req.scheme .. " " .. req.client end)
  weir.route("GET /large", function() return ("x"):rep(8000000) end)
  weir.route("POST /count", function(req) return tostring(#req:text()) end)
]]

describe("a listener with TLS", function()
  local folder, ca, a, b, b_rsa, g

  setup(function()
    folder = certificates.new()
    ca = folder:authority "root"
    a = folder:make("a", { san = "DNS:a.example,IP:127.0.0.1", by = ca })
    b = folder:make("b", { san = "DNS:b.example,DNS:*.b.example", by = ca })
    b_rsa = folder:make("b_rsa", { san = "DNS:b.example,DNS:*.b.example", by = ca, kind = "rsa" })
    g = gateway.start { MAIN, a_cert = a.cert, a_key = a.key, b_cert = b.cert, b_key = b.key,
      b_rsa_cert = b_rsa.cert, b_rsa_key = b_rsa.key, behind = ports.free() }
  end)

  teardown(function()
    g:stop()
    folder:remove()
  end)

  local function get(options)
    local o = { ["do"] = "get", port = g.port, sni = "a.example", ca = ca.cert, path = "/facts" }
    for key, value in pairs(options or {}) do o[key] = value end
    return tls.ask(o)
  end

  local function failures(reason)
    return g:metric("weir_tls_handshake_failures_total", ('reason="%s"'):format(reason))
  end

  local function counted(reason, action)
    local before = failures(reason)
    action()
    wait.for_("a failure to be counted as " .. reason, function()
      return failures(reason) == before + 1
    end)
  end

  it("serves a client that verifies it, and tells scripts of the connection", function()
    local r = get()
    assert.equal(200, r.status)
    assert.equal("TLSv1.3", r.version)
    local facts = require "cjson".decode(r.body)
    assert.equal("https", facts.scheme)
    assert.equal("1.3", facts.version)
    assert.equal(r.cipher, facts.cipher)
    assert.equal("a.example", facts.sni)
    assert.is_false(facts.resumed)
    assert.is_false(facts.verified)
    assert.is_nil(facts.client)
  end)

  it("serves curl, by name and by address", function()
    local out, err, code = tls.run { "/usr/bin/curl", "-sS", "--cacert", ca.cert, "--resolve",
      "x.b.example:" .. g.port .. ":127.0.0.1", "https://x.b.example:" .. g.port .. "/facts" }
    assert.equal(0, code, err)
    assert.is_truthy(out:find('"sni":"x.b.example"', 1, true))
    out, err, code = tls.run { "/usr/bin/curl", "-sS", "--cacert", ca.cert, "--tls-max", "1.2",
      "https://127.0.0.1:" .. g.port .. "/facts" }
    assert.equal(0, code, err)
    assert.is_truthy(out:find('"version":"1.2"', 1, true))
  end)

  for _, case in ipairs {
    { "the certificate that bears the name", "b.example", 2 },
    { "one with a star for one label", "www.b.example", 2 },
    { "whatever the case of the name", "WWW.B.example", 2 },
    { "the first one where a star would stand for two labels", "x.y.b.example", 1 },
    { "the first one for a name that none bears", "nobody.example", 1 },
  } do
    it("gives " .. case[1], function()
      assert.equal(("%02X"):format(case[3]),
        get { sni = case[2], check_name = false, host = "nobody.example" }.serial)
    end)
  end

  it("gives the first certificate to a client that names no host", function()
    local out = tls.run { "/usr/bin/openssl", "s_client", "-connect", "127.0.0.1:" .. g.port,
      "-noservername", "-CAfile", ca.cert }
    assert.is_truthy(out:find("subject=CN = a", 1, true), out)
    assert.is_truthy(out:find("Verify return code: 0 (ok)", 1, true), out)
  end)

  it("chooses among a name's certificates by what the client can verify", function()
    local r = get { sni = "b.example", max_version = "1.2",
      ciphers = "ECDHE-RSA-AES128-GCM-SHA256" }
    assert.equal("03", r.serial)
    assert.equal("ECDHE-RSA-AES128-GCM-SHA256", r.cipher)
  end)

  it("answers 421 when the host asked for has another certificate than the name", function()
    assert.equal(421, get { sni = "b.example", host = "a.example" }.status)
    assert.equal(200, get { sni = "b.example", host = "c.b.example:" .. g.port }.status)
    assert.equal(200, get { sni = "b.example", host = "nobody.example" }.status)
  end)

  it("speaks HTTP/1.1 by ALPN, and refuses a client that only speaks otherwise", function()
    assert.equal("http/1.1", get { alpn = { "http/1.1" } }.alpn)
    counted("protocol", function()
      assert.is_truthy(get { alpn = { "spdy/3" } }.error)
    end)
  end)

  it("refuses TLS 1.1", function()
    counted("version", function()
      assert.equal("TLSV1_ALERT_PROTOCOL_VERSION", get { max_version = "1.1" }.error)
    end)
  end)

  it("refuses ciphers without forward secrecy", function()
    counted("cipher", function()
      assert.equal("SSLV3_ALERT_HANDSHAKE_FAILURE",
        get { max_version = "1.2", sni = "b.example", ciphers = "AES128-GCM-SHA256" }.error)
    end)
  end)

  it("counts clients that do not trust it", function()
    counted("rejected", function()
      assert.equal("CERTIFICATE_VERIFY_FAILED", get { ca = a.cert, max_version = "1.2" }.error)
    end)
  end)

  it("answers plain HTTP with 400 and closes", function()
    counted("plain_http", function()
      local c = raw.connect(g.port)
      c:send "GET /facts HTTP/1.1\r\nHost: a\r\n\r\n"
      local r = c:response()
      assert.equal(400, r.status)
      assert.is_truthy(r.body:find("https", 1, true))
      local rest, how = c:read_all()
      assert.same({ "", "closed" }, { rest, how })
      c:close()
    end)
  end)

  it("closes on anything else that is no TLS", function()
    counted("protocol", function()
      local c = raw.connect(g.port)
      c:send(("\0\1\2garbage"):rep(1000))
      c:read_all()
      c:close()
    end)
  end)

  it("closes on garbage behind a record's head, with an alert", function()
    counted("protocol", function()
      local c = raw.connect(g.port)
      c:send("\22\3\1\0\5" .. "\1\0\0\1\255")
      assert.equal(21, c:read_all():byte(1))
      c:close()
    end)
  end)

  it("counts clients that leave before they are done", function()
    counted("closed", function()
      local c = raw.connect(g.port)
      c:send "\22\3\1\2\0"
      c:half_close()
      c:read_all()
      c:close()
    end)
  end)

  it("streams a large response to a slow reader", function()
    local r = get { path = "/large", slowly = true, receive_buffer = 16384 }
    assert.equal(8000000, r.size)
  end)

  it("takes a large request", function()
    local r = tls.ask { ["do"] = "upload", port = g.port, sni = "a.example", path = "/count",
      size = 7000000 }
    assert.equal("7000000", r.body)
  end)

  it("ends a connection with close_notify", function()
    local r = tls.ask { ["do"] = "ending", port = g.port, sni = "a.example", path = "/facts",
      headers = { Connection = "close" } }
    assert.equal("close_notify", r.ended)
  end)

  it("closes what was cut off without close_notify, and goes on", function()
    assert.is_true(tls.ask { ["do"] = "cut", port = g.port, sni = "a.example",
      path = "/large" }.closed)
    assert.equal(200, get().status)
  end)

  it("resumes sessions with any worker, by TLS 1.3 and 1.2", function()
    for _, version in ipairs { "1.3", "1.2" } do
      local o = { ["do"] = "resume", port = g.port, sni = "a.example", path = "/facts", times = 16 }
      if version == "1.2" then o.max_version = version end
      local r = tls.ask(o)
      assert.equal(16, r.resumed)
      assert.is_truthy(r.body:find('"resumed":true', 1, true))
    end
    for worker = 0, 1 do g:wait_log("access", { worker = worker }) end
    wait.for_("handshakes to be counted", function()
      return g:metric("weir_tls_handshakes_total", 'session="resumed"') >= 32
    end)
  end)

  it("takes the PROXY header before the handshake, and nothing else there", function()
    local function who(header)
      local hex = header:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
      return get({ port = g.vars.behind, path = "/who", preface = hex }).body
    end
    assert.equal("https 203.0.113.7", who "PROXY TCP4 203.0.113.7 198.51.100.1 56324 443\r\n")
    assert.equal("https 203.0.113.8",
      who "\r\n\r\n\0\r\nQUIT\n\33\17\0\12\203\0\113\8\198\51\100\1\220\4\1\187")
    -- Without one there is no handshake.
    local c = raw.connect(g.vars.behind)
    c:send "\22\3\1\2\0\1\0\1\252\3\3"
    assert.equal("", (c:read_all()))
    c:close()
    wait.for_("it to be counted", function()
      return g:metric("weir_server_connections_refused_total", 'reason="proxy_protocol"') == 1
    end)
  end)

  it("shows when its certificates end", function()
    local ends = g:metric("weir_tls_certificate_expiry_timestamp_seconds", ":" .. g.port)
    local days = (ends - os.time()) / 86400
    assert.is_true(days > 29 and days < 31)
  end)
end)
