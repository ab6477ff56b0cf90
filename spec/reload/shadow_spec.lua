--- `weir reload --shadow`: primitives under new options are asked beside the real ones, without
--- effect, and what they would have decided otherwise is counted.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local breaker = weir.policy("failing", { weir.breaker { consecutive = $(consecutive),
    failure_rate = 1, min_calls = 1000, open = "1h", open_max = "2h" } })
  local bulkhead = weir.policy("busy", { weir.bulkhead { max = $(max), queue = 5, wait = "10s" } })
  local limiter = weir.policy("often", { weir.limiter { rate = "$(rate)/h", burst = $(rate) } })
  weir.route("GET /failing", function()
    return breaker(function() return nil, weir.error("connect", "never") end)
  end)
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  weir.route("GET /busy", function(req)
    return bulkhead(function() return up:forward(req, { path = req.headers["x-target"] }) end)
  end)
  weir.route("GET /often", function() return limiter(function() return "often" end) end)
  weir.route("GET /word", function() return "$(word)" end)
]]

describe("a shadow", function()
  local g, o
  local DEFAULTS = { consecutive = 1000, max = 50, rate = 1000, word = "old" }

  local function bundle(options)
    local all = { MAIN, origin = o.port }
    for key, value in pairs(DEFAULTS) do all[key] = options[key] or value end
    return all
  end

  local function start(options)
    local all = bundle(options)
    all.workers = 2
    g = gateway.start(all)
  end

  setup(function() o = origin.start() end)
  teardown(function() o:kill() end)
  after_each(function() if g then g:stop() end end)

  local function begin(options, ...)
    local loads = #g:log "reload.shadow"
    g:write(bundle(options))
    local p = process.spawn { process.program "weir", "reload", "--admin", g.admin, "--shadow",
      "--for", options.time or "60s", ... }
    wait.for_("the shadow", function() return p:is_over() or #g:log "reload.shadow" > loads end)
    return p
  end

  -- What it has counted so far: ends it.
  local function ended(p)
    assert.equal(200, g:ask("POST", "/generations/rollback").status)
    local code, out = p:wait(30), p:stdout()
    p:kill()
    return code, out
  end

  local function verdict(p)
    local code = p:wait(90)
    local out, err = p:stdout(), p:stderr()
    p:kill()
    return code, out, err
  end

  -- What the shadow of a primitive has counted so far: ends it.
  local function decisions()
    local found = {}
    local answer
    wait.for_("the verdict", function()
      local lines = g:log("reload", { result = "shadowed" })
      answer = lines[#lines]
      return answer
    end)
    for _, d in ipairs(answer.decisions) do found[d.kind .. " " .. d.name] = d end
    return found
  end

  it("decides without effect, and tells where it would decide otherwise", function()
    start {}
    g:expect "breaker.transition"
    local p = begin { consecutive = 3, rate = 10, word = "new" }
    for _ = 1, 20 do
      assert.equal(502, g:get "/failing".status) -- and not 503
      assert.equal(200, g:get "/often".status)
      assert.equal("old", g:get "/word".body)
    end
    local code, out = ended(p)
    assert.equal(0, code)
    -- Three failures open it; of a limit of ten the other ten are over.
    assert.matches("breaker 'failing'  20 calls, 17 refused by it only, 0 by the live one", out)
    assert.matches("limiter 'often'  20 calls, 10 refused by it only, 0 by the live one", out)
    assert.matches("bulkhead 'busy'  0 calls, 0 refused by it only", out)
    assert.matches("generation 1 stays live: it was only a shadow", out)
    assert.equal(1, g:status().generation.number)
    assert.equal("closed", g:breaker "failing".state)
    local d = decisions()
    assert.equal(17, d["breaker failing"].stricter)
    assert.equal("shadowed", g:log("reload", { result = "shadowed" })[1].result)
  end)

  it("counts what it would have let through", function()
    start { rate = 5 }
    local p = begin { rate = 1000 }
    local refused = 0
    for _ = 1, 20 do
      if g:get "/often".status == 429 then refused = refused + 1 end
    end
    assert.equal(15, refused)
    local _, out = ended(p)
    assert.matches("limiter 'often'  20 calls, 0 refused by it only, 15 by the live one only", out)
  end)

  it("follows the calls under way, and leaks none", function()
    start { max = 4 }
    local p = begin { max = 2 }
    for round = 1, 2 do
      local target = origin.target { "until:round" .. round, origin.answer(200, "busy") }
      local clients = {}
      for i = 1, 4 do clients[i] = g:begin("GET", "/busy", { ["X-Target"] = target }) end
      wait.for_("four at once", function() return g:bulkhead "busy".in_use == 4 end)
      o:release("round" .. round)
      for _, c in ipairs(clients) do
        assert.equal("busy", c:response().body)
        c:close()
      end
      g:wait_idle()
    end
    local shadow = g:bulkhead "busy (shadow 2)"
    assert.equal(2, shadow.max)
    assert.equal(0, shadow.in_use)
    -- Of four at once it would have refused two, both times. Its queue is not asked.
    local _, out = ended(p)
    assert.matches("bulkhead 'busy'  8 calls, 4 refused by it only, 0 by the live one only", out)
    g:wait_idle()
  end)

  it("shows in the list, and a worker that comes later has it too", function()
    start {}
    g:expect "worker.exit"
    g:expect "reload"
    local p = begin { rate = 1 }
    local rows = json.decode(g:ask("GET", "/generations").body)
    assert.equal("shadow", rows[1].state)
    assert.equal("live", rows[2].state)
    for _, pid in ipairs(g:pids()) do
      assert.equal(0, os.execute("kill -KILL " .. pid))
      wait.for_("a successor", function()
        local pids = g:pids()
        return pids[1] ~= pid and pids[2] ~= pid and pids[1] ~= 0 and pids[2] ~= 0
      end)
      g:workers_live()
    end
    wait.for_("both to ask it", function()
      g:get "/often"
      local row = json.decode(g:ask("GET", "/generations").body)[1]
      return row.state == "shadow" and row.bytes > 2 * 300000
    end)
    -- Whatever else is asked for ends it.
    g:write(bundle { word = "newest" })
    assert.equal(200, g:ask("POST", "/reload").status)
    local code, _, err = verdict(p)
    assert.equal(78, code)
    assert.matches("something else was asked for", err)
    assert.equal("newest", g:get "/word".body)
    g:wait_idle()
  end)

  it("cannot be promoted, nor be a canary too", function()
    start {}
    local p = begin { rate = 1 }
    assert.equal(400, g:ask("POST", "/generations/promote").status)
    assert.equal(0, (ended(p)))
    assert.equal(400, g:ask("POST", "/reload?shadow=1&canary=5").status)
    local code, _, err = verdict(process.spawn { process.program "weir", "reload", "--admin",
      g.admin, "--shadow", "--canary", "5%" })
    assert.equal(2, code)
    assert.matches("not both", err)
  end)
end)
