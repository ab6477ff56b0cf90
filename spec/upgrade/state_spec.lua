--- `--state FILE`: what named state outlives the program, and what no file can do to a start.
local gateway = require "spec.support.gateway"
local json = require "cjson"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local broken = weir.policy("broken", { weir.breaker {
    consecutive = 3, open = "10m", jitter = 0 } })
  weir.route("GET /broken", function() return broken(function() return nil, weir.error("connect",
    "down") end) end)
  local limit = weir.policy("limit", { weir.limiter { rate = "10/h", burst = 10,
    key = "header:X-Tenant" } })
  weir.route("GET /limited", function() return limit(function() return "ok" end) end)
  local flag = weir.flag("new_ui", { default = false })
  weir.route("GET /flag", function() return tostring(flag:on "anybody") end)
]]

describe("--state", function()
  local path, g
  before_each(function()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function()
    if g then g:kill() end
    g = nil
    os.remove(path)
  end)

  local function start(more)
    local options = { SCRIPT, state = path }
    for key, value in pairs(more or {}) do options[key] = value end
    g = gateway.start(options)
    g:expect "breaker.transition"
    g:expect "admin.action"
    g:expect "flag.transition"
    return g
  end

  local function write(text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end

  local function read()
    local file = assert(io.open(path))
    local text = file:read "*a"
    file:close()
    return text
  end

  it("has a breaker open, a key in debt and a flag set after a stop and a start", function()
    start()
    for _ = 1, 3 do g:get "/broken" end
    for _ = 1, 10 do g:get("/limited", { ["X-Tenant"] = "a" }) end
    assert.equal(200, g:ask("POST", "/flags/on?name=new_ui&value=release").status)
    local before = g:breaker "broken"
    assert.equal("open", before.state)
    g:stop()
    assert.equal(1, json.decode(read()).weir_state)
    start()
    local told = g:wait_log "state.restored"
    assert.is_true(told.primitives >= 3 and told.primitives == told.of)
    local after = g:breaker "broken"
    assert.equal("open", after.state)
    assert.is_true(after.retry_after_s <= before.retry_after_s and after.retry_after_s > 500)
    assert.equal(before.not_permitted_total, after.not_permitted_total)
    assert.equal(503, g:get "/broken".status)
    assert.equal(429, g:get("/limited", { ["X-Tenant"] = "a" }).status)
    assert.equal(200, g:get("/limited", { ["X-Tenant"] = "b" }).status)
    assert.equal("true", g:get "/flag".body)
    assert.same({}, g:log("breaker.transition"))
    g:stop()
  end)

  it("is not needed for a first start", function()
    start():stop()
    assert.is_truthy(read():find('"name":"broken"', 1, true))
  end)

  for _, case in ipairs {
    { '{"weir_state":1,\n"primitives":[', "line 2, column 14" },
    { '{"weir_state":99}', "weir_state is 99; this weir reads 1" },
    { "", nil },
  } do
    it("is ignored when it is " .. (case[1] == "" and "empty" or case[1]), function()
      write(case[1])
      start()
      local told = g:log("state.ignored")[1]
      if case[2] then
        g:expect "state.ignored"
        assert.equal("warn", told.level)
        assert.is_truthy(told.message:find(path, 1, true), told.message)
        assert.is_truthy(told.message:find(case[2], 1, true), told.message)
      else
        assert.is_nil(told)
      end
      assert.equal("closed", g:breaker "broken".state)
      g:stop()
      assert.equal(1, json.decode(read()).weir_state)
    end)
  end

  it("says in the log that it could not be written", function()
    start { state = "/nowhere/at/all/state.json" }
    g:expect "state.lost"
    g:stop()
  end)

  it("is left alone by a start that fails", function()
    write "kept"
    local code = gateway.fail_to_start { "nonsense", state = path }
    assert.equal(78, code)
    assert.equal("kept", read())
  end)
end)
