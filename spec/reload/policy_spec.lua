--- `weir policy`: generations as an operator sees them, and going back to one.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local guarded = weir.policy("pay", { weir.breaker { window = 10, min_calls = $(calls) } })
  local runs = 0
  weir.every("20ms", function() runs = runs + 1 end)
  weir.route("GET /word", function() return "$(word)" end)
  weir.route("GET /runs", function() return tostring(runs) end)
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  weir.route("GET /held", function(req)
    up:forward(req, { path = "$(target)" })
    return "$(word)"
  end)
  weir.route("GET /pay", function() return guarded(function() return "paid" end) end)
]]

describe("weir policy", function()
  local g, o

  setup(function() o = origin.start() end)
  teardown(function() o:kill() end)

  -- What /held waits for until it is released.
  local TARGET = origin.target { "until:held", "send:HTTP/1.1 204 No Content\r\n\r\n" }

  local function bundle(word, calls)
    return { word = word, calls = calls or 20, origin = o.port, target = TARGET, MAIN }
  end

  before_each(function()
    local options = bundle "first"
    options.workers = 2
    g = gateway.start(options)
  end)

  after_each(function() g:stop() end)

  local function load_word(word, calls) return g:reload(bundle(word, calls)) end

  -- Exit code, standard output and standard error of the verb.
  local function policy(...)
    local p = process.spawn { process.program "weir", "policy", "--admin", g.admin, ... }
    local code = p:wait(30)
    local out, err = p:stdout(), p:stderr()
    p:kill()
    return code, out, err
  end

  local function word() return g:get "/word".body end

  -- The row of a generation in the list, or of the newest failure for nil.
  local function row(number)
    for _, r in ipairs(json.decode(g:ask("GET", "/generations").body)) do
      if r.number == number then return r end
    end
  end

  local function wait_state(number, state)
    wait.for_("generation " .. number .. " to be " .. state, function()
      local r = row(number)
      return r and r.state == state
    end)
  end

  it("list shows each generation with its state, requests, memory, age and hash", function()
    load_word "second"
    g:get "/word"
    wait_state(1, "cooling")
    wait.for_("the request to be counted", function() return row(2).served > 0 end)
    local r = row(2)
    assert.equal("live", r.state)
    assert.equal(g:status().generation.hash, r.hash)
    assert.equal(4, r.routes)
    assert.is_true(r.bytes > 100000 and r.age_s >= 0)
    local code, out = policy "list"
    assert.equal(0, code)
    assert.matches("\n +2  live +%d+s +%d+ +%d+ +%d+%.%d +4  " .. r.hash, out)
    assert.matches("\n +1  cooling ", out)
  end)

  it("list shows why the last reload failed, until one goes well", function()
    g:expect "reload"
    g:write { "local weir = require 'weir'\nweir.rout('/x')" }
    g:ask("POST", "/reload")
    local failed = row(nil)
    assert.equal("failed", failed.state)
    assert.matches("main.lua:2: .*did you mean 'route'", failed.why)
    local _, out = policy "ls"
    assert.matches("the last reload: main.lua:2: ", out)
    load_word "second"
    assert.is_nil(row(nil))
  end)

  it("rollback makes the one before live again, as it was, without loading it", function()
    load_word "second"
    -- What is on disk does not matter.
    g:write { "not Lua" }
    local code, out = policy "rollback"
    assert.equal(0, code)
    assert.matches("^generation 1 is live in 2 workers", out)
    assert.equal("first", word())
    assert.equal(1, g:status().generation.number)
    -- Again: forth.
    assert.equal(0, (policy "rollback"))
    assert.equal("second", word())
    assert.equal(2, g:status().generation.number)
  end)

  it("use goes to any that is kept, also when it has to be loaded", function()
    for _, w in ipairs { "second", "third", "fourth" } do load_word(w) end
    wait_state(1, "cold")
    assert.equal(0, (policy("use", "1")))
    assert.equal("first", word())
    wait_state(4, "cooling")
    assert.equal(0, (policy("use", "3")))
    assert.equal("third", word())
    local code, out = policy("use", "3")
    assert.equal(0, code)
    assert.matches("generation 3 stays live .*nothing has changed", out)
  end)

  it("refuses what it does not have, and that is no failed reload", function()
    local code, _, err = policy "rollback"
    assert.equal(78, code)
    assert.matches("there is no generation to go back to", err)
    code, _, err = policy("use", "7")
    assert.equal(78, code)
    assert.matches("generation 7 is not kept: see `weir policy list`", err)
    code, _, err = policy("use", "x")
    assert.equal(2, code)
    assert.matches("'x' is not a generation's number", err)
    code, _, err = policy "use"
    assert.equal(2, code)
    assert.matches("which generation", err)
    code, _, err = policy "rolback"
    assert.equal(2, code)
    assert.matches("did you mean 'rollback'", err)
    assert.equal(400, g:ask("POST", "/generations/use?number=0").status)
    assert.equal(400, g:ask("POST", "/generations/use").status)
    assert.equal(405, g:ask("GET", "/generations/rollback").status)
    assert.equal(0, g:status().reloads.failed)
    assert.is_nil(row(nil))
  end)

  it("diff tells what one would change of another, show what one declares", function()
    load_word("second", 5)
    local _, out = policy("diff", "1", "2")
    assert.equal([[
~ file main.lua
~ policy 'pay': breaker  min_calls 20 -> 5
it would load; nothing was changed
]], out)
    _, out = policy("diff", "2", "1")
    assert.matches("min_calls 5 %-> 20", out)
    _, out = policy "diff"
    assert.equal("nothing would change\n", out)
    _, out = policy("diff", "1")
    assert.matches("min_calls 20 %-> 5", out)
    _, out = policy("show", "1")
    assert.matches("^file main.lua\n", out)
    assert.matches("\npolicy 'pay': breaker  .*min_calls=20", out)
    assert.matches("\nroute GET /pay  ", out)
    local code, _, err = policy("diff", "9")
    assert.equal(78, code)
    assert.matches("generation 9 is not kept", err)
    assert.equal(2, g:status().generation.number)
  end)

  it("applies the options of the generation that is live again, and keeps the state", function()
    load_word("second", 5)
    for _ = 1, 3 do g:get "/pay" end
    local calls = g:breaker "pay".calls
    policy "rollback"
    assert.equal(calls, g:breaker "pay".calls)
    local _, out = policy "show"
    assert.matches("min_calls=5", out) -- the files
    _, out = policy("show", "1")
    assert.matches("min_calls=20", out)
  end)

  it("lets requests of a cooling generation finish, and ends its jobs meanwhile", function()
    local c = g:begin("GET", "/held")
    wait.for_("it to be under way", function() return row(1).requests == 1 end)
    load_word "second"
    wait.for_("its request to be counted", function()
      return row(1).state == "cooling" and row(1).requests == 1
    end)
    o:release "held"
    assert.equal("first", c:response().body)
    wait.for_("it to be held by nobody", function() return row(1).requests == 0 end)
    c:close()
    assert.equal("cooling", row(1).state)
    -- Its jobs go on when it is live again, each in one series.
    policy "rollback"
    local before = tonumber(g:get "/runs".body)
    wait.for_("its jobs to run", function() return tonumber(g:get "/runs".body) > before + 3 end)
  end)

  it("goes back in workers that never had it too", function()
    load_word "second"
    g:expect "worker.exit"
    local pids = g:pids()
    assert.equal(0, os.execute("kill -KILL " .. pids[1]))
    wait.for_("its successor", function()
      local now = g:pids()
      return #now == 2 and now[1] ~= pids[1] and g:workers_live()
    end)
    assert.equal(0, (policy "rollback"))
    for _ = 1, 8 do assert.equal("first", word()) end
  end)
end)

describe("weir run --watch", function()
  it("keeps what was gone back to until a file changes", function()
    local function bundle(word)
      return { word = word, calls = 20, origin = 1, target = "/", MAIN }
    end
    local options = bundle "first"
    options.workers, options.watch = 1, true
    local g = gateway.start(options)
    g:write(bundle "second")
    wait.for_("the second to be live", function() return g:get "/word".body == "second" end)
    assert.equal(200, g:ask("POST", "/generations/rollback").status)
    assert.equal("first", g:get "/word".body)
    local loads = g:status().reloads.live
    -- The watch is as it was: the next change is loaded, and none before.
    g:write(bundle "third")
    wait.for_("the third to be live", function() return g:get "/word".body == "third" end)
    assert.equal(loads + 1, g:status().reloads.live)
    g:stop()
  end)
end)

describe("a cooling generation", function()
  local g
  local FIRST = [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    local guarded = weir.policy("only first", { weir.breaker { consecutive = 3, open = "1h" } })
    weir.route("GET /x", function()
      return guarded(function() return nil, weir.error("connect", "never") end)
    end)
  ]]
  local SECOND = [[
    local weir = require "weir"
    weir.listen "127.0.0.1:$(port)"
    weir.route("GET /x", function() return "second" end)
  ]]

  before_each(function() g = gateway.start { workers = 2, FIRST } end)
  after_each(function() g:stop() end)

  local function rollback() return g:ask("POST", "/generations/rollback").status end

  it("finds its state again, that nobody held meanwhile", function()
    g:expect "breaker.transition"
    for _ = 1, 3 do g:get "/x" end
    assert.equal("open", g:breaker "only first".state)
    g:reload { SECOND }
    assert.equal(200, rollback())
    assert.equal("open", g:breaker "only first".state)
    assert.equal(503, g:get "/x".status)
    assert.equal(200, rollback())
    assert.equal("second", g:get "/x".body)
  end)
end)
