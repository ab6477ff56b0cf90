-- A bundle's own tests at a start, a reload and a dry run: they decide whether it goes live, and
-- know nothing of what runs, nor it of them.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("pay", { endpoints = { "http://127.0.0.1:1" } })
  local guarded = weir.policy("pay", { weir.breaker { consecutive = 3, open = "60s", jitter = 0 } })
  weir.route("GET /pay", function(req)
    return guarded(function() return up:forward(req) end)
  end)
  local runs = weir.metrics.counter("spec_selftests_total", "Runs")
  local kept = weir.cache("kept", { ttl = "1h" })
  weir.route("GET /kept", function() return kept:get "k" or "nothing" end)
  weir.every({ interval = "1h", name = "job" }, function() runs:inc() end)
  weir.selftest("the breaker opens", function(t)
    t:upstream("pay", function() return { status = 503 } end)
    t:equal("nothing", t:request("/kept").body)
    kept:set("k", "of the test")
    runs:inc({}, 1000)
    weir.log.warn "said in a test"
    for _ = 1, 3 do t:equal(503, t:request("/pay").status) end
    t:truthy(t:request("/pay").body:find "breaker", "it is open")
    t:advance "61s"
    t:upstream("pay", function() return "fine" end)
    t:equal("$(expected)", t:request("/pay").body)
  end)
  -- $(version)
]]

describe("a bundle's selftests", function()
  local g
  local version = 0

  local function files(expected)
    version = version + 1
    return { SCRIPT, expected = expected or "fine", version = version, workers = 2 }
  end

  setup(function()
    g = gateway.start(files())
    g:expect "breaker.transition"
    g:expect "reload"
  end)
  teardown(function() g:stop() end)

  it("change nothing that runs: no state, no metric, no log, no cache", function()
    assert.equal("live", g:reload(files()).result)
    g:workers_live()
    assert.equal("closed", g:breaker("pay").state)
    assert.equal(0, g:breaker("pay").calls)
    assert.equal(0, (g:metric("weir_breaker_calls_total", 'name="pay"', 'kind="failed"')))
    assert.is_true(g:metric "spec_selftests_total" <= 4) -- the job in both workers, twice
    assert.equal("nothing", g:get("/kept").body)
    assert.same({}, g:log("script.log"))
    assert.same({}, g:log("breaker.transition"))
  end)

  it("see nothing of what runs: an open breaker is not open there", function()
    for _ = 1, 3 do g:get "/pay" end
    assert.equal("open", g:breaker("pay").state)
    assert.equal("live", g:reload(files()).result)
    g:workers_live()
    assert.equal("open", g:breaker("pay").state)
    assert.equal(3, (g:metric("weir_breaker_calls_total", 'name="pay"', 'kind="failed"')))
  end)

  it("refuse a reload with name, place and message, and the next one works", function()
    local generation = g:status().generation.number
    local verdict = g:reload(files "nothing of the kind")
    assert.equal(422, verdict.status)
    assert.equal("selftest", verdict.stage)
    assert.equal(22, verdict.line)
    assert.matches("main.lua$", verdict.file)
    assert.equal("selftest 'the breaker opens': expected 'nothing of the kind', got 'fine'",
      verdict.message)
    assert.equal(generation, g:status().generation.number)
    assert.equal(503, g:get("/pay").status)
    assert.equal("live", g:reload(files()).result)
  end)

  it("are run by a dry run and told by weir reload", function()
    g:write(files "nothing of the kind")
    for _, arguments in ipairs { { "--dry-run" }, {} } do
      local p = process.spawn { process.program "weir", "reload", "--admin", g.admin,
        unpack(arguments) }
      assert.is_true(p:wait(20) ~= 0)
      local err = p:stderr()
      p:kill()
      assert.matches("selftest", err)
      assert.matches("main.lua:22", err)
    end
    g:write(files())
    local r = g:ask("POST", "/reload?dry_run=1")
    assert.equal(200, r.status, r.body)
    assert.equal("live", g:reload(files()).result)
  end)

  it("keep weir from starting", function()
    local code, err = gateway.fail_to_start(files "nothing of the kind")
    assert.equal(78, code)
    assert.matches("selftest 'the breaker opens': expected 'nothing of the kind'", err)
    assert.matches("main.lua:22", err)
  end)

  it("that never end cost the trial its time, and nothing else", function()
    local all = files()
    all[1] = all[1] .. [[
      weir.selftest("spins", function() while true do weir.sleep(0.001) end end)]]
    local verdict = g:reload(all)
    assert.equal("selftest", verdict.stage)
    assert.matches("^selftest 'spins': the selftests have not ended after 3 s of work",
      verdict.message)
    assert.is_true(json.encode(verdict):find "main.lua" ~= nil)
    assert.equal("live", g:reload(files()).result)
  end)
end)
