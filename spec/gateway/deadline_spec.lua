local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

describe("deadlines", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local patient = weir.upstream("patient", {
        endpoints = { "http://127.0.0.1:$(origin)" }, first_byte = "80ms", between_bytes = "80ms" })
      local slow = { path = "/run?hang" }
      weir.route("GET /hang", { deadline = "100ms" }, function(req) return up:forward(req,
        slow) end)
      weir.route("GET /long", { deadline = "10s" }, function(req) return up:forward(req, slow) end)
      weir.route("/head", function(req) return up:forward(req) end)
      weir.route("GET /first-byte", function(req) return patient:forward(req, slow) end)
      weir.route("GET /between", function(req) return patient:request {
        path = "/run?send:HTTP/1.1%20200%20OK%0D%0AContent-Length:%209%0D%0A%0D%0Ahalf;hang" } end)
      local outer = weir.policy("outer", { weir.deadline "60ms" })
      local inner = weir.policy("inner", { weir.timeout "40ms" })
      weir.route("GET /kinds", function(req)
        local kinds = {}
        local function note(name, _, err) kinds[name] = err and err.kind or "none" end
        note("deadline", outer(function() return weir.sleep "1s" end))
        note("timeout", inner(function() return weir.sleep "1s" end))
        note("inner first", outer(function() return inner(function()
          return weir.sleep "1s" end) end))
        note("outer first", inner(function() return outer(function()
          return weir.sleep "1s" end) end))
        note("call", outer(function() return up:request { path = "/run?hang" } end))
        note("own", up:request { path = "/run?hang", timeout = "20ms" })
        note("http", weir.http.get("http://127.0.0.1:$(origin)/run?hang", { timeout = "20ms" }))
        note("after", weir.sleep "1ms")
        kinds.remaining = weir.remaining() > 5
        return weir.json(200, kinds)
      end)
      weir.route("GET /children", { deadline = "100ms" }, function()
        local all, err = weir.all { a = function() return weir.sleep "5s" end,
          b = function() return weir.sleep "5s" end }
        return weir.json(200, { kind = err and err.kind })
      end)
      weir.route("GET /stubborn", { deadline = "50ms" }, function()
        local waits = 0
        for _ = 1, 20 do
          weir.sleep "5s"
          waits = waits + 1
        end
        return weir.json(200, { waits = waits })
      end)
      weir.route("GET /remaining", function() return weir.json(200,
        { left = weir.remaining() }) end)
    ]] }
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  local function took(path, headers)
    local from = wait.now()
    local r = g:get(path, headers)
    return wait.now() - from, r
  end

  it("ends a call at the route's deadline", function()
    local seconds, r = took "/hang"
    assert.equal(504, r.status)
    assert.is_true(seconds >= 0.09 and seconds < 2, seconds)
  end)

  it("ends a call at the client's own deadline when that is nearer", function()
    local seconds, r = took("/long", { ["X-Request-Deadline-Ms"] = "50" })
    assert.equal(504, r.status)
    assert.is_true(seconds >= 0.04 and seconds < 5, seconds)
    assert.equal("deadline", json.decode(r.body).kind)
  end)

  it("is no longer than the route's, whatever the client claims", function()
    local seconds = took("/hang", { ["X-Request-Deadline-Ms"] = "99999" })
    assert.is_true(seconds < 5)
  end)

  it("does not read a client's deadline that is no number", function()
    for _, text in ipairs { "x", "-1", "1.5", "", "5s", "5 0", "99999999999999999999" } do
      assert.is_true(json.decode(g:get("/remaining",
        { ["X-Request-Deadline-Ms"] = text }).body).left > 5)
    end
  end)

  it("answers at once when no time is left", function()
    assert.equal(504, g:get("/long", { ["X-Request-Deadline-Ms"] = "0" }).status)
  end)

  it("tells the upstream what is left, never what the client said", function()
    local account = json.decode(g:get("/head", { ["X-Request-Deadline-Ms"] = "700" }).body)
    local ms = tonumber(account.head:match "\r\nX%-Request%-Deadline%-Ms: (%d+)")
    assert.is_true(ms <= 700 and ms > 100, ms)
    account = json.decode(g:get "/head".body)
    ms = tonumber(account.head:match "\r\nX%-Request%-Deadline%-Ms: (%d+)")
    assert.is_true(ms <= 10000 and ms > 5000)
  end)

  it("limits the wait for a first byte and between bytes", function()
    local seconds, r = took "/first-byte"
    assert.equal(504, r.status)
    assert.equal("timeout", json.decode(r.body).kind)
    assert.is_true(seconds < 5)
    seconds, r = took "/between"
    assert.equal(504, r.status)
    assert.is_true(seconds < 5)
  end)

  it("says which limit it was", function()
    local kinds = json.decode(g:get "/kinds".body)
    assert.same({
      deadline = "deadline", timeout = "timeout", ["inner first"] = "timeout",
        ["outer first"] = "timeout",
      call = "deadline", own = "timeout", http = "timeout", after = "none", remaining = true,
    }, kinds)
  end)

  it("is inherited by children", function()
    local seconds, r = took "/children"
    assert.equal("deadline", json.decode(r.body).kind)
    assert.is_true(seconds < 2)
  end)

  it("lets no wait pass after it, however often it is tried", function()
    local seconds, r = took "/stubborn"
    assert.equal(20, json.decode(r.body).waits)
    assert.is_true(seconds < 2, seconds)
  end)

  it("leaves no connection waiting upstream", function()
    wait.for_("the upstream's connections to close", function()
      local open = o:counts().open
      return open <= 4, open
    end)
  end)
end)
