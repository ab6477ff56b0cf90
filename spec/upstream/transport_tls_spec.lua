--- TLS of the connections that weir's own transports open: who is believed, what a handshake may
--- cost, and what is said of one that fails.
local certificates = require "spec.support.certificates"
local json = require "cjson"
local probe = require "spec.support.probe"
local process = require "spec.support.process"
local zone = require "spec.support.zone"

describe("TLS of a native transport", function()
  local folder, ca, good, odd, p, z
  local servers = {}

  local function keep(command)
    local server = process.spawn(command)
    servers[#servers + 1] = server
    return server
  end

  local function serve(pair, ...)
    return (keep { "/usr/bin/python3", "spec/support/h2_origin.py", "--tls", pair.cert, pair.key,
      ... }:line "port (%d+)")
  end

  setup(function()
    folder = certificates.new()
    ca = folder:authority "root"
    good = folder:make("good", { by = ca, san = "IP:127.0.0.1,DNS:a.test" })
    odd = keep { "/usr/bin/python3", "spec/support/tls_odd.py", good.cert, good.key }
    odd:line "ready"
  end)

  teardown(function()
    for _, server in ipairs(servers) do server:kill() end
    folder:remove()
  end)

  after_each(function()
    if p then p:kill() end
    if z then z:kill() end
    p, z = nil, nil
  end)

  local function start(options)
    options = options or {}
    options.transport, options.hosts = options.transport or "h2", "/dev/null"
    options.ca_file = options.ca_file or ca.cert
    options.requests = { total_ms = 20000, scheme = "https" }
    p = probe.start(options)
  end

  local function run(port, more)
    local rq = { port = port }
    for key, value in pairs(more or {}) do rq[key] = value end
    local finish, _, body = p:call("/ok", rq)
    return finish, body ~= "" and json.decode(body)
  end

  local function succeeds(port, more)
    local finish, seen = run(port, more)
    assert.equal("none", finish.kind, finish.message)
    return seen, finish
  end

  -- Nothing was sent: whoever asks may ask again.
  local function fails(port, what, more)
    local finish = run(port, more)
    assert.equal("tls", finish.kind, finish.message)
    assert.truthy(finish.message:find(what, 1, true), finish.message)
    assert.equal("nothing", finish.sent)
    assert.is_true(finish.retryable)
  end

  local function odd_port(mode) return odd:line(mode .. " (%d+)") end

  it("asks for a name, and for none where the host is an address", function()
    local port = serve(good)
    start()
    assert.equal("a.test", succeeds(port, { authority = "A.test:8443" }).name)
    assert.equal(json.null, succeeds(port, { authority = "127.0.0.1:8443" }).name)
    p:finish()
  end)

  it("believes a certificate of its authorities, of that name, and of today", function()
    local stranger = folder:make("stranger", { san = "IP:127.0.0.1,DNS:a.test" })
    local expired = folder:make("expired", { by = ca, san = "IP:127.0.0.1", days = -1 })
    local elsewhere = folder:make("elsewhere", { by = ca, san = "DNS:*.other.test,IP:127.0.0.2" })
    local port, other = serve(good), serve(elsewhere)
    start()
    fails(serve(stranger), "its certificate is not good: self-signed certificate")
    fails(serve(expired), "its certificate is not good: certificate has expired")
    fails(port, "its certificate is not good: hostname mismatch", { authority = "b.test" })
    fails(other, "its certificate is not good: IP address mismatch")
    fails(other, "its certificate is not good: hostname mismatch", { authority = "other.test" })
    fails(other, "its certificate is not good: hostname mismatch",
      { authority = "a.b.other.test" })
    -- An address is no name: who can have a certificate for the text has not the address.
    local text = folder:make("text", { by = ca, san = "DNS:127.0.0.1", subject = "/CN=127.0.0.1" })
    fails(serve(text), "its certificate is not good: IP address mismatch")
    succeeds(other, { authority = "b.other.test" })
    p:finish()
  end)

  it("takes TLS 1.2 and 1.3, with the ciphers that HTTP/2 allows, and nothing older", function()
    start()
    for _, version in ipairs { "1.2", "1.3" } do
      local seen = succeeds(serve(good, "--versions", version))
      assert.equal("TLSv" .. version, seen.version)
      assert.truthy(seen.cipher:find "GCM" or seen.cipher:find "CHACHA20", seen.cipher)
    end
    fails(serve(good, "--versions", "1.1"), "it sent the TLS alert: protocol version")
    p:finish()
  end)

  it("speaks HTTP/2 with who has chosen it, and with nobody else", function()
    start()
    fails(serve(good, "--alpn", ""), "it does not speak HTTP/2 over TLS (by ALPN)")
    fails(serve(good, "--alpn", "http/1.1"), "it does not speak HTTP/2 over TLS (by ALPN)")
    succeeds(serve(good, "--alpn", "http/1.1", "h2"))
    p:finish()
  end)

  it("takes its sessions up again", function()
    start()
    for _, version in ipairs { "1.2", "1.3" } do
      local port = serve(good, "--versions", version)
      assert.is_false(succeeds(port).resumed)
      assert.is_true(succeeds(port, { fresh = 1 }).resumed)
      assert.is_false(succeeds(port, { fresh = 1, authority = "a.test" }).resumed, "another name")
      assert.is_true(succeeds(port, { fresh = 1 }).resumed)
    end
    p:finish()
  end)

  it("keeps sessions of 256 names", function()
    local many = folder:make("many", { by = ca, san = "DNS:*.many.test" })
    local port = serve(many)
    start { idle = 200 }
    local function resumes(i)
      return succeeds(port, { fresh = 1, authority = i .. ".many.test" }).resumed
    end
    for i = 1, 257 do assert.is_false(resumes(i)) end
    assert.same({ true, true, false }, { resumes(1), resumes(256), resumes(257) })
    p:finish()
  end)

  it("tells of a server that wants a certificate, whenever that says so", function()
    start()
    for _, version in ipairs { "1.2", "1.3" } do
      local port = serve(good, "--client-ca", ca.cert, "--versions", version)
      local finish = run(port, { idempotent = 0, method = "POST", body = "x" })
      assert.equal("tls", finish.kind, finish.message)
      assert.truthy(finish.message:find("it sent the TLS alert: ", 1, true), finish.message)
    end
    p:finish()
  end)

  for mode, what in pairs {
    plain = "it does not speak TLS", garbage = "TLS: ", flood = "TLS: ",
    alert = "it sent the TLS alert: handshake failure",
    cut = "the connection closed during the TLS handshake",
    close = "the connection closed during the TLS handshake",
    reset = "the connection closed during the TLS handshake",
  } do
    it("says what is wrong with a handshake: " .. mode, function()
      start()
      fails(odd_port(mode), what, { connect_ms = 5000 })
      p:finish()
    end)
  end

  it("bears a handshake that comes byte by byte, and an end behind it", function()
    start()
    for _, mode in ipairs { "drip", "truncate" } do
      local finish = run(odd_port(mode), { idempotent = 0, method = "POST", body = "x" })
      assert.equal("reset", finish.kind, finish.message)
    end
    p:finish()
  end)

  it("bears whatever becomes of a server's bytes", function()
    local seed = os.getenv "WEIR_SEED" or os.time() % 100000
    local mangle = keep { "/usr/bin/python3", "spec/support/mangle.py", serve(good), seed }
    local port = mangle:line "port (%d+)"
    for _, transport in ipairs { "h2", "h1" } do
      start { transport = transport }
      local ends = {}
      for round = 1, 2 do
        for i = 1, 60 do
          p:go(round .. "-" .. i, { port = port, scheme = "https", target = "/ok", fresh = 1,
            connect_ms = 1000, total_ms = 1500 })
        end
        for i = 1, 60 do
          local finish = p:wait_end(round .. "-" .. i, 25)
          ends[finish.kind] = (ends[finish.kind] or 0) + 1
        end
      end
      local text = ("seed %s: %s"):format(seed, json.encode(ends))
      assert.is_true(ends.tls and ends.tls > 10, text)
      assert.equal(120, (ends.none or 0) + (ends.tls or 0) + (ends.reset or 0)
        + (ends.protocol or 0) + (ends.timeout or 0), text)
      p:finish()
    end
  end)

  it("gives a handshake the time that connecting has", function()
    start()
    local finish = run(odd_port "silent", { connect_ms = 200 })
    assert.equal("timeout", finish.kind)
    assert.truthy(finish.message:find("no end of the TLS handshake within 200 ms", 1, true),
      finish.message)
    assert.equal("nothing", finish.sent)
    assert.is_true(finish.retryable)
    local id = p:begin("/", { port = odd_port "silent" })
    p:send("cancel", id)
    p:wait(id, "cancelled")
    p:finish()
  end)

  it("has nobody wait for a connection that has not opened in time", function()
    start()
    -- Connections are shared by name.
    local function go(id, name, connect_ms)
      p:go(id, { port = odd_port "silent", scheme = "https", authority = name,
        connect_ms = connect_ms, idempotent = 1 })
    end
    go("first", "a.test", 600)
    go("pause", "b.test", 200)
    p:wait_end "pause"
    -- Due after the first, and before what the later one would have if its time were its own.
    go("between", "c.test", 550)
    go("later", "a.test", 600)
    for _, id in ipairs { "first", "later" } do
      assert.equal("timeout", p:wait_end(id).kind)
      assert.truthy(p:wait_end(id).message:find("within 600 ms", 1, true))
    end
    p:wait_end "between"
    local order = {}
    for _, event in ipairs(p.events) do
      if event.event == "end" then order[#order + 1] = event.id end
    end
    assert.equal("pause first later between", table.concat(order, " "))
    p:finish()
  end)

  it("shares that time among a name's addresses", function()
    local port = serve(good)
    keep { "/usr/bin/python3", "spec/support/tls_odd.py", good.cert, good.key, "--at",
      "127.0.0.9", port, "silent" }:line "ready"
    z = zone.start { ["a.test"] = { a = { "127.0.0.9", "127.0.0.1" } } }
    start { servers = z.servers }
    local _, finish = succeeds(port, { host = "a.test", connect_ms = 1000 })
    assert.equal("127.0.0.1:" .. port, finish.address)
    p:finish()
  end)

  it("says that roots cannot be read", function()
    local port = serve(good)
    start { ca_file = "/nowhere.pem" }
    fails(port, "CA file '/nowhere.pem'")
    p:finish()
  end)

  -- OpenSSL as a server does not go on with a client that refuses.
  it("does not negotiate anew", function()
    local fifo = os.tmpname()
    os.remove(fifo)
    assert(os.execute("mkfifo " .. fifo) == 0)
    local server = keep { "/bin/sh", "-c", 'exec openssl s_server -accept 127.0.0.1:0 -tls1_2 '
      .. '-alpn h2 -cert "$1" -key "$2" <"$3"', "sh", good.cert, good.key, fifo }
    local input = assert(io.open(fifo, "w"))
    os.remove(fifo)
    start()
    local port = server:line "ACCEPT [^\n]*:(%d+)"
    p:go("anew", { port = port, scheme = "https", total_ms = 10000, idempotent = 1, target = "/" })
    server:line "PRI %* HTTP/2.0"
    input:write "R\n"
    input:flush()
    local finish = p:wait_end "anew"
    assert.equal("tls", finish.kind, finish.message)
    assert.truthy(server:stderr():find "no renegotiation", server:stderr())
    input:close()
    p:finish()
  end)
end)
