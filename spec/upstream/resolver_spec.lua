local probe = require "spec.support.probe"
local zone = require "spec.support.zone"
local wait = require "spec.support.wait"

describe("resolver", function()
  local z, p, files

  local function start(options)
    options = options or {}
    options.servers = options.servers or z.servers
    options.hosts = options.hosts or "/dev/null"
    p = probe.start(options)
    return p
  end

  local next_id = 0
  local function resolve(name)
    next_id = next_id + 1
    local id = "q" .. next_id
    p:send("resolve", id, name)
    return id
  end

  local function answer(name, timeout)
    return p:wait(resolve(name), "answer", timeout)
  end

  local function hosts_file(text)
    local path = os.tmpname()
    local file = io.open(path, "w")
    file:write(text)
    file:close()
    files[#files + 1] = path
    return path
  end

  before_each(function()
    files = {}
    z = zone.start()
  end)

  after_each(function()
    if p then p:kill() end
    z:kill()
    for _, path in ipairs(files) do os.remove(path) end
  end)

  it("answers with IPv4 before IPv6, in the server's order", function()
    z:set("a.test", { a = { "127.0.0.2", "127.0.0.1" }, aaaa = { "::1" } })
    start()
    assert.same({ "127.0.0.2", "127.0.0.1", "::1" }, answer "a.test".addresses)
    p:finish()
  end)

  it("follows an alias, also where one family has none behind it", function()
    z:set("a.test", { cname = "b.test", a = { "127.0.0.1" } })
    start()
    assert.same({ "127.0.0.1" }, answer "a.test".addresses)
    p:finish()
  end)

  it("answers numeric hosts as they are and asks nobody", function()
    start()
    for _, host in ipairs { "127.0.0.1", "::1", "2001:db8::7" } do
      assert.same({ host }, answer(host).addresses)
    end
    assert.equal(0, p:stat().questions)
    p:finish()
  end)

  it("refuses what cannot be a host name without asking", function()
    start()
    for _, host in ipairs { "a b", "a..b", ".a", "a/b", "a%00", ("x"):rep(254), "a:b" } do
      local e = answer(host)
      assert.equal("dns", e.kind, host)
      assert.truthy(e.message:find("not a valid host name", 1, true), e.message)
    end
    assert.equal(0, p:stat().questions)
    p:finish()
  end)

  it("keeps localhost on this machine whatever a name server says", function()
    z:set("localhost", { a = { "192.0.2.1" } })
    z:set("x.localhost", { a = { "192.0.2.1" } })
    start()
    assert.same({ "127.0.0.1", "::1" }, answer "localhost".addresses)
    assert.same({ "127.0.0.1", "::1" }, answer "X.LocalHost".addresses)
    assert.equal(0, p:stat().questions)
    p:finish()
  end)

  it("asks once for a name until its TTL is over", function()
    z:set("a.test", { a = { "127.0.0.1" }, ttl = 60 })
    start()
    for _ = 1, 5 do answer "A.test" end
    assert.equal(1, z:queries "a.test")
    p:finish()
  end)

  it("asks again after the TTL, which is no shorter than its minimum", function()
    z:set("a.test", { a = { "127.0.0.1" }, ttl = 0 })
    start { ttl_min = 200 }
    answer "a.test"
    answer "a.test"
    assert.equal(1, z:queries "a.test")
    z:set("a.test", { a = { "127.0.0.2" } })
    wait.for_("the new address", function() return answer "a.test".addresses[1] == "127.0.0.2" end)
    assert.equal(2, z:queries "a.test")
    p:finish()
  end)

  it("keeps no answer longer than the maximum", function()
    z:set("a.test", { a = { "127.0.0.1" }, ttl = 3600 })
    start { ttl_min = 10, ttl_max = 50 }
    answer "a.test"
    z:set("a.test", { a = { "127.0.0.2" } })
    wait.for_("the new address", function() return answer "a.test".addresses[1] == "127.0.0.2" end)
    p:finish()
  end)

  it("shares one question among concurrent queries", function()
    z:set("a.test", { a = { "127.0.0.1" }, delay = 100 })
    start()
    local ids = {}
    for i = 1, 20 do ids[i] = resolve "a.test" end
    for _, id in ipairs(ids) do assert.same({ "127.0.0.1" }, p:wait(id, "answer").addresses) end
    assert.equal(1, z:queries "a.test")
    assert.equal(1, z:queries("a.test", "AAAA"))
    p:finish()
  end)

  it("remembers that a name does not exist, for a while", function()
    start { negative_ttl = 150 }
    local e = answer "gone.test"
    assert.equal("dns", e.kind)
    assert.truthy(e.message:find("gone.test: no such name", 1, true), e.message)
    answer "gone.test"
    assert.equal(1, z:queries "gone.test")
    z:set("gone.test", { a = { "127.0.0.1" } })
    wait.for_("the name to appear", function() return answer "gone.test".kind == "none" end)
    p:finish()
  end)

  it("tells a name without addresses from one that does not exist", function()
    z:set("mail.test", {})
    start()
    assert.truthy(answer "mail.test".message:find("has no address", 1, true))
    p:finish()
  end)

  it("serves what it knew while the server fails, and recovers", function()
    z:set("a.test", { a = { "127.0.0.1" }, ttl = 1 })
    start { ttl_min = 50, ttl_max = 50, failure_ttl = 50 }
    answer "a.test"
    for _, trouble in ipairs { "SERVFAIL", "REFUSED" } do
      z:set("a.test", { rcode = trouble })
      local before = p:stat().stale
      wait.for_("a stale answer under " .. trouble, function()
        local e = answer "a.test"
        assert.equal("none", e.kind)
        assert.same({ "127.0.0.1" }, e.addresses)
        return p:stat().stale > before
      end)
    end
    z:set("a.test", { a = { "127.0.0.9" } })
    wait.for_("recovery", function() return answer "a.test".addresses[1] == "127.0.0.9" end)
    p:finish()
  end)

  it("serves what it knew when a fresh answer takes too long", function()
    z:set("a.test", { a = { "127.0.0.1" } })
    start { ttl_min = 50, ttl_max = 50, stale_after = 100 }
    answer "a.test"
    z:set("a.test", { drop = true })
    wait.for_("a stale answer", function()
      local e = answer "a.test"
      assert.same({ "127.0.0.1" }, e.addresses)
      return e.ms >= 100
    end)
    p:finish()
  end)

  it("forgets what it knew when the server says that the name is gone", function()
    z:set("a.test", { a = { "127.0.0.1" } })
    start { ttl_min = 50, ttl_max = 50 }
    answer "a.test"
    z:set("a.test", nil)
    wait.for_("the name to vanish", function() return answer "a.test".kind == "dns" end)
    p:finish()
  end)

  it("serves nothing past the limit of staleness", function()
    z:set("a.test", { a = { "127.0.0.1" } })
    start { ttl_min = 50, ttl_max = 50, stale_max = 100, failure_ttl = 20 }
    answer "a.test"
    z:set("a.test", { rcode = "SERVFAIL" })
    wait.for_("the end of staleness", function() return answer "a.test".kind == "dns" end)
    p:finish()
  end)

  it("says that servers fail or are silent, in time", function()
    z:set("bad.test", { rcode = "SERVFAIL" })
    z:set("mute.test", { drop = true })
    start { dns_timeout = 100, dns_tries = 2 }
    assert.truthy(answer "bad.test".message:find("the name servers failed", 1, true))
    assert.truthy(answer "mute.test".message:find("no name server answered in time", 1, true))
    p:finish()
  end)

  it("does not wait for a family that never answers", function()
    z:set("a.test", { a = { "127.0.0.1" }, drop_aaaa = true })
    start()
    local e = answer "a.test"
    assert.same({ "127.0.0.1" }, e.addresses)
    assert.is_true(e.ms < 900, "took " .. e.ms .. " ms; the first time-out is at 1000")
    p:finish()
  end)

  it("lets a waiter leave at any moment without disturbing the others", function()
    z:set("a.test", { a = { "127.0.0.1" }, delay = 100 })
    start()
    local first, second = resolve "a.test", resolve "a.test"
    p:send("forget", first)
    assert.equal("none", p:wait(second, "answer").kind)
    assert.equal(0, #p:of(first, "answer"))
    p:finish()
  end)

  it("honours the hosts file before any server, and reads it again when it changed", function()
    z:set("db.test", { a = { "127.0.0.1" } })
    local path = hosts_file("# comment\n10.0.0.1 db.test db # more\n::7 Db.Test\n"
      .. "nonsense x\n10.0.0.2\tdb.test\r\n")
    start { hosts = path, ttl_min = 20 }
    assert.same({ "10.0.0.1", "10.0.0.2", "::7" }, answer "DB.test".addresses)
    assert.same({ "10.0.0.1" }, answer "db".addresses)
    assert.equal(0, z:queries "db.test")
    local file = io.open(path, "w")
    file:write "10.0.0.3 db.test\n"
    file:close()
    wait.for_("the changed file",
      function() return answer "db.test".addresses[1] == "10.0.0.3" end, 15)
    p:finish()
  end)

  it("keeps a bounded number of names and drops the least recently used", function()
    for i = 1, 6 do z:set("n" .. i .. ".test", { a = { "127.0.0.1" } }) end
    start { entries = 3 }
    for i = 1, 6 do answer("n" .. i .. ".test") end
    local before = p:stat()
    assert.equal(3, before.entries)
    answer "n6.test"
    assert.equal(before.questions, p:stat().questions)
    answer "n1.test"
    assert.is_true(p:stat().questions > before.questions)
    p:finish()
  end)

  it("refuses when all its places are taken by names being looked up", function()
    for i = 1, 3 do z:set("n" .. i .. ".test", { drop = true }) end
    start { entries = 2 }
    resolve "n1.test"
    resolve "n2.test"
    local e = answer "n3.test"
    assert.truthy(e.message:find("too many names", 1, true), e.message)
    p:finish()
  end)

  it("never blocks the loop, however slow the servers are", function()
    for i = 1, 50 do z:set("s" .. i .. ".test", { a = { "127.0.0.1" }, delay = 300 }) end
    start()
    p:stat()
    local ids = {}
    for i = 1, 50 do ids[i] = resolve("s" .. i .. ".test") end
    for _, id in ipairs(ids) do assert.equal("none", p:wait(id, "answer").kind) end
    local longest = p:stat().turn_max_ms
    -- A loop that waited for just one of them would turn for as long as that takes.
    assert.is_true(longest < 300, "a turn took " .. longest .. " ms")
    p:finish()
  end)
end)
