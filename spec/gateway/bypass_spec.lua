local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

describe("a route that is open on errors", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 2, origin = o.port, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local modes = {
        raises = function() error "bad" end,
        spins = function() while true do end end,
        wrong = function() return 7 end,
        errs = function() return nil, weir.error("connect", "no") end,
        works = function() return "handler" end,
      }
      local function handler(req) return modes[req.headers["x-mode"] ]() end
      weir.route("/open", { on_error = "open", upstream = up }, handler)
      weir.route("/mixed", { on_error = "open", upstream = up }, handler)
      weir.route("/returns", { on_error = "open", upstream = up }, handler)
      weir.route("/closed", handler)
    ]] }
    g:expect "script.error"
    g:expect "breaker.transition"
    g:expect "admin.action"
  end)

  teardown(function()
    g:stop()
    o:kill()
  end)

  -- The origin answers with what it was sent: then nobody else has had the request.
  local function ask(path, mode)
    local r = g:get(path, { ["X-Mode"] = mode })
    return { status = r.status, body = r.body:find '^{"head":' and "bare" or r.body }
  end

  it("stops asking a handler that failed five times in a row, says so, and tries again", function()
    for _ = 1, 5 do
      assert.equal("handler", ask("/open", "works").body)
      assert.equal("bare", ask("/open", "raises").body)
    end
    assert.equal("closed", g:breaker("route /open").state)
    for _, mode in ipairs { "raises", "spins", "raises" } do
      assert.equal("bare", ask("/open", mode).body)
    end
    assert.equal(500, ask("/open", "wrong").status)
    local line = g:wait_log("breaker.transition", { name = "route /open" })
    assert.equal("open", line.to)
    local function failures() return (g:metric("weir_policy_errors_total", 'policy="/open"')) end
    assert.equal(9, failures())
    g:wait_log "script.error"
    assert.equal("bare", ask("/open", "raises").body)
    assert.equal("bare", ask("/open", "works").body)
    assert.equal(9, failures())
    g:wait_log("access", { route = "/open", why = "ok_bypass" })
    assert.equal(1, g:metric("weir_breaker_state", 'name="route /open"', 'state="open"'))
    wait.for_("the handler to be asked again", function()
      return ask("/open", "works").body == "handler"
    end, 30)
    assert.equal("closed", g:breaker("route /open").state)
  end)

  it("goes on asking one that returns errors", function()
    for _ = 1, 10 do assert.equal(502, ask("/returns", "errs").status) end
    assert.equal("handler", ask("/returns", "works").body)
  end)

  it("obeys an operator", function()
    assert.equal(200, g:ask("POST", "/breakers/open?name=route%20/mixed").status)
    assert.equal("bare", ask("/mixed", "works").body)
    assert.equal(200, g:ask("POST", "/breakers/auto?name=route%20/mixed").status)
    wait.for_("the handler to be asked again", function()
      return ask("/mixed", "works").body == "handler"
    end, 30)
  end)

  it("has a breaker, and one that is closed on errors has none", function()
    for _ = 1, 10 do assert.equal(500, ask("/closed", "raises").status) end
    assert.equal("handler", ask("/closed", "works").body)
    assert.is_nil(g:breaker "route /closed")
  end)
end)
