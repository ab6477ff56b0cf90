-- Feature flags: who gets them, who flips them, and what a reload leaves of that.
local dependency = require "spec.support.dependency"
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local script = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.health("store", { redis = "127.0.0.1:$(store)", interval = "50ms", fall = 1, rise = 1,
    timeout = "10s", critical = false })
  local plain = weir.flag("plain", { default = $(default), percent = $(percent) })
  local tenant = weir.flag("tenant", { percent = 50, key = "header:X-Tenant" })
  local tied = weir.flag("tied", { health = "store", fallback = $(fallback) })
  weir.route("GET /plain/:key", function(req) return tostring(plain:on(req.params.key)) end)
  weir.route("GET /plain", function() return tostring(plain:on()) end)
  weir.route("GET /tenant", function() return tostring(tenant:on()) end)
  weir.route("GET /tied", function() return tostring(tied:on()) end)
  weir.route("GET /percent", function()
    local percent, is_overridden = plain:percent()
    return ("%g %s"):format(percent, tostring(is_overridden))
  end)
  weir.route("POST /set/:to", function(req)
    local to = ({ ["true"] = true, ["false"] = false })[req.params.to]
    if to == nil then to = tonumber(req.params.to) end
    plain:set(to, "asked for")
    return "set"
  end)
]]

describe("a feature flag", function()
  local g, d, vars

  local function bundle(changes)
    for key, value in pairs(changes or {}) do vars[key] = value end
    local files = { script }
    for key, value in pairs(vars) do files[key] = value end
    return files
  end

  local function weir(...)
    local child = process.spawn { process.program "weir", "flag", ... }
    local code = child:wait()
    return code, child:stdout(), child:stderr()
  end

  local function operator(...)
    local arguments = { ... }
    arguments[#arguments + 1] = "--admin"
    arguments[#arguments + 1] = g.admin
    return weir(unpack(arguments))
  end

  --- The keys of 1..n that it is on for.
  local function on_for(n)
    local keys = {}
    for i = 1, n do keys[i] = g:get("/plain/user-" .. i).body == "true" end
    return keys
  end

  before_each(function()
    d = dependency.start { "store" }
    d:set("store", "pong")
    vars = { workers = 3, store = d.ports.store, default = "true", percent = 10,
      fallback = "false" }
    g = gateway.start(bundle())
    for _, event in ipairs { "flag.transition", "health.transition", "admin.action" } do
      g:expect(event)
    end
  end)
  after_each(function()
    g:stop()
    d:stop()
  end)

  it("is on for the same keys in all workers, and keeps them when its share grows", function()
    local first = on_for(100)
    assert.same(first, on_for(100))
    assert.equal(0, (operator("percent", "plain", "60%")))
    local later, grown = on_for(100), 0
    for i = 1, 100 do
      assert.is_true(later[i] or not first[i], "user-" .. i)
      if later[i] and not first[i] then grown = grown + 1 end
    end
    assert.is_true(grown > 0)
    assert.equal(300, (g:metric("weir_flag_evaluations_total", 'name="plain"')))
    assert.equal(0.6, (g:metric("weir_flag_ratio", 'name="plain"')))
  end)

  it("is told by its key option, and drawn where there is no key", function()
    local by_tenant = {}
    for i = 1, 40 do
      by_tenant[i] = g:get("/tenant", { ["X-Tenant"] = "t" .. i % 4 }).body
      if i > 4 then assert.equal(by_tenant[i - 4], by_tenant[i]) end
    end
    local seen = {}
    wait.for_("both answers", function()
      seen[g:get("/tenant").body] = true
      return seen["true"] and seen["false"]
    end)
  end)

  it("is flipped by an operator for all workers, over reloads, until it is reset", function()
    local function all(expected)
      for i = 1, 20 do assert.equal(expected, g:get("/plain/user-" .. i).body) end
    end
    assert.equal(0, (operator("on", "plain", "launch day")))
    all "true"
    assert.equal(200, g:reload(bundle { default = "false" }).status)
    all "true"
    assert.equal("100 true", g:get("/percent").body)
    local _, out = operator("ls", "--json")
    local list = {}
    for _, flag in ipairs(json.decode(out)) do list[flag.name] = flag end
    assert.equal("operator", list.plain.by)
    assert.equal("launch day", list.plain.why)
    assert.is_true(list.plain.overridden)
    assert.equal(0, list.plain.policy_percent)
    assert.equal(0, (operator("reset", "plain")))
    all "false"
    assert.equal("0 false", g:get("/percent").body)
  end)

  it("follows its options at a reload, and says so", function()
    assert.equal(200, g:reload(bundle { percent = 100 }).status)
    assert.equal("100 false", g:get("/percent").body)
    g:wait_log("flag.transition",
      { name = "plain", by = "policy", from_percent = 10, to_percent = 100 })
    assert.equal(200, g:reload(bundle { default = "false" }).status)
    assert.equal("0 false", g:get("/percent").body)
    g:wait_log("flag.transition", { name = "plain", from_percent = 100, to_percent = 0 })
    assert.equal(2, #g:log "flag.transition")
  end)

  it("is set from Lua for all workers, and logs who and why once", function()
    local from = 10
    for _, case in ipairs { { "false", 0, true }, { "true", 100, true }, { "12.5", 12.5, true },
      { "nil", 10, false } } do
      local to, is_override = case[2], case[3]
      assert.equal(200, g:request("POST", "/set/" .. case[1]).status)
      for _ = 1, 10 do
        assert.equal(("%g %s"):format(to, tostring(is_override)), g:get("/percent").body)
      end
      -- Changes that the master has not told of yet fold into one line: this one first.
      local line = g:wait_log("flag.transition", { from_percent = from, to_percent = to })
      assert.same({ is_override and "script" or "policy", "asked for" }, { line.by, line.why })
      from = to
    end
    assert.equal(4, #g:log "flag.transition")
    assert.equal(4, (g:metric("weir_flag_changes_total", 'name="plain"')))
    assert.equal(500, g:request("POST", "/set/101").status)
    g:expect "script.error"
  end)

  it("gives its fallback while its check is down, unless it is off", function()
    assert.equal("true", g:get("/tied").body)
    d:set("store", "refuse")
    wait.for_("the fallback", function() return g:get("/tied").body == "false" end)
    assert.equal(200, g:reload(bundle { fallback = "true" }).status)
    assert.equal("true", g:get("/tied").body)
    assert.equal(0, (operator("off", "tied")))
    assert.equal("false", g:get("/tied").body)
    assert.equal(0, (operator("reset", "tied")))
    d:set("store", "pong")
    wait.for_("the check to be up", function()
      local before = g:metric("weir_flag_evaluations_total", 'name="tied"', 'result="on"')
      g:get "/tied"
      return g:metric("weir_flag_evaluations_total", 'name="tied"', 'result="on"') > before
    end)
  end)

  it("refuses what is no percentage", function()
    for _, value in ipairs { "101", "0x10", "ten", "", "1e9", "nan", "50x" } do
      local code, _, err = operator("percent", "plain", value)
      assert.equal(1, code, value)
      assert.matches("is no percentage from 0 to 100", err)
    end
    local code, _, err = operator("percent", "plain")
    assert.equal(1, code)
    assert.matches("percent needs a value", err)
    assert.equal("10 false", g:get("/percent").body)
  end)
end)
