--- `weir reload --dry-run`: what a reload would change, and that it changes nothing.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"

local FIRST = [[
  local weir = require "weir"
  local limits = require "limits"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:1" } })
  weir.flag("search", { percent = 10 })
  local guarded = weir.policy("pay", {
    weir.retry { max = limits.attempts },
    weir.breaker { failure_rate = 0.5 },
    weir.timeout "800ms",
  })
  weir.route("GET /pay", function(req)
    return guarded(function() return up:forward(req) end)
  end)
  weir.route("GET /old", function() return "first" end)
]]

local SECOND = [[
  local weir = require "weir"
  local limits = require "limits"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("origin", {
    endpoints = { "http://127.0.0.1:1", "http://127.0.0.1:2" }, pool = { max = 5 },
  })
  weir.flag("search", { percent = 25 })
  weir.health("store", { redis = "127.0.0.1:3", critical = false })
  local guarded = weir.policy("pay", {
    weir.retry { max = limits.attempts },
    weir.breaker { failure_rate = 0.3, open = "10s" },
    weir.timeout "800ms",
    weir.bulkhead(5),
  })
  weir.route("GET /pay", { deadline = "3s" }, function(req)
    return guarded(function() return up:forward(req) end)
  end)
  weir.route("GET /new", function() return "second" end)
]]

local CHANGES = [[
~ file main.lua
~ file limits.lua
~ flag 'search'  percent 10 -> 25
+ health check 'store'
~ policy 'pay'  layers retry > breaker > timeout -> retry > breaker > timeout > bulkhead
~ policy 'pay': breaker  failure_rate 0.5 -> 0.3
~ policy 'pay': breaker  open 5s -> 10s
+ policy 'pay': bulkhead
~ policy 'pay': retry  max 2 -> 3
+ route GET /new
- route GET /old
~ route GET /pay  deadline 10s -> 3s
~ upstream 'origin'  endpoints {http://127.0.0.1:1} -> {http://127.0.0.1:1, http://127.0.0.1:2}
~ upstream 'origin'  pool (none) -> {max=5}
it would load; nothing was changed
]]

describe("a dry run of a reload", function()
  local g

  before_each(function()
    g = gateway.start { workers = 2, FIRST, ["limits.lua"] = "return { attempts = 2 }" }
    g:expect "health.transition"
    g:expect "flag.transition"
  end)

  after_each(function() g:stop() end)

  -- Exit code, standard output and standard error of the verb.
  local function dry_run()
    local p = process.spawn { process.program "weir", "reload", "--dry-run", "--admin", g.admin }
    local code = p:wait(30)
    local out, err = p:stdout(), p:stderr()
    p:kill()
    return code, out, err
  end

  it("tells each threshold, route and file that would change, and changes nothing", function()
    g:write { SECOND, ["limits.lua"] = "return { attempts = 3 }" }
    local code, out = dry_run()
    assert.equal(CHANGES, out)
    assert.equal(0, code)
    assert.equal("first", g:get "/old".body)
    assert.equal(404, g:get "/new".status)
    local status = g:status()
    assert.equal(1, status.generation.number)
    assert.equal(1, status.reloads.live)
    assert.equal(10, status.flags[1].percent)
    -- What was only tried may be loaded.
    assert.is_true(g:reload().changed)
    assert.equal("second", g:get "/new".body)
    code, out = dry_run()
    assert.equal("nothing would change\n", out)
    assert.equal(0, code)
  end)

  it("says nothing of a password", function()
    local function with(url)
      return { FIRST .. ('weir.health("store", { http = %q })'):format(url) }
    end
    g:write(with "http://me:secret@127.0.0.1:3/")
    g:reload()
    g:write(with "http://me:secret@127.0.0.1:4/")
    local _, out = dry_run()
    assert.matches("http http://%*%*%*@127.0.0.1:3/ %-> http://%*%*%*@127.0.0.1:4/\n", out)
    assert.is_nil(out:find("secret", 1, true))
  end)

  it("of what does not load says why, and is no failed reload", function()
    g:write { "local weir = require 'weir'\nweir.rout('/x')" }
    local code, _, err = dry_run()
    assert.equal(78, code)
    assert.matches("main.lua:2", err)
    assert.matches("did you mean 'route'", err)
    assert.equal(0, g:status().reloads.failed)
  end)

  it("may be asked for beside reloads: everybody gets the answer to what was asked", function()
    local asked = {}
    for i = 1, 6 do
      local target = i % 2 == 0 and "/reload" or "/reload?dry_run=1"
      g:write { (FIRST:gsub("first", "round " .. i)) }
      asked[i] = raw.connect(g.admin_port):send(
        ("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"):format(target))
    end
    for i, c in ipairs(asked) do
      local r = c:response()
      assert.equal(200, r.status)
      assert.equal(i % 2 == 0 and "live" or "changes", json.decode(r.body).result)
      c:close()
    end
    assert.equal("round 6", g:get "/old".body)
  end)
end)
