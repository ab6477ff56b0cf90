--- policies/http_cache.lua
local demo = require "spec.support.demo"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"

describe("the policy http_cache", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      local http_cache = require "weir.policies.http_cache"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      weir.route("/plan/*path", http_cache.handle {
        name = "plan", upstream = up, cache = { ttl = "1m" } })
      weir.route("/policy", function()
        return weir.json(200, { name = http_cache.name, version = http_cache.version })
      end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  it("stores what its options permit", function()
    o:plan("a", { origin.answer("200 OK", "one", "") })
    assert.equal("one", g:get("/plan/a").body)
    assert.equal("one", g:get("/plan/a").body)
    assert.equal(1, #o:seen "a")
  end)

  it("tries again before it falls back on what is old, and says that it did", function()
    local stale = 'Cache-Control: max-age=60\r\nAge: 100\r\nETag: "x"\r\n'
    o:plan("b", { origin.answer("200 OK", "one", stale), origin.answer("503 Oh", "", ""),
      origin.answer("503 Oh", "", "") })
    g:get "/plan/b"
    local r = g:get "/plan/b"
    assert.equal("one", r.body)
    assert.equal("weir; fwd=stale; fwd-status=503", r.headers["cache-status"])
    assert.equal(3, #o:seen "b")
  end)

  it("passes the error on when there is nothing to fall back on", function()
    o:plan("c", { origin.answer("503 Oh", "no", ""), origin.answer("503 Oh", "no", "") })
    assert.equal(503, g:get("/plan/c").status)
  end)

  it("serves the example's photos while their service is away", function()
    local d = demo.start "policies/examples/http_cache.lua"
    local first = d:get "/photos/ada"
    d:tell("photos", "down")
    local second = d:get "/photos/ada"
    assert.same({ 200, first.body }, { second.status, second.body })
    assert.truthy(second.headers["cache-status"]:match "^weir; hit")
    d:stop()
    d:kill()
  end)

  it("has a name and a version", function()
    assert.truthy(g:get("/policy").body:find('"name":"http_cache"', 1, true))
  end)

  it("says what is wrong with its options, and where", function()
    local code, err = gateway.fail_to_start { [[
      local weir = require "weir"
      local http_cache = require "weir.policies.http_cache"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:1" } })
      weir.route("/", http_cache.handle { name = "x", upsteam = up })
    ]] }
    assert.equal(78, code)
    assert.truthy(err:find("unknown option 'upsteam' (did you mean 'upstream'?)", 1, true), err)
  end)
end)
