--- `weir reload --canary`: a share of the requests goes to the new generation until it is found
--- worse, or its time is over.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local guarded = weir.policy("pay", { weir.breaker {}, weir.bulkhead { max = $(calls) } })
  local runs = 0
  weir.every("10ms", function() runs = runs + 1 end)
  weir.route("GET /word", function(req) $(extra) return "$(word)" end)
  weir.route("GET /runs", function() return "$(word) " .. runs end)
  weir.route("GET /pay", function() return guarded(function() return "$(word)" end) end)
  weir.route("GET /forward", function(req)
    local r, err = up:forward(req)
    if r then r.headers["X-Word"] = "$(word)" end
    return r, err
  end)
]]

describe("a canary", function()
  local g, o

  setup(function() o = origin.start() end)
  teardown(function() o:kill() end)

  before_each(function()
    g = gateway.start { workers = 2, origin = o.port, word = "old", calls = 20, extra = "", MAIN }
  end)

  after_each(function() g:stop() end)

  local function write(options)
    g:write { origin = o.port, word = options.word or "new", calls = options.calls or 20,
      extra = options.extra or "", options[1] or MAIN }
  end

  -- Begins `weir reload --canary …` with the bundle; returns the process when it is one.
  local function begin(options, ...)
    write(options)
    local p = process.spawn { process.program "weir", "reload", "--admin", g.admin, "--canary",
      options.share or "50%", "--by", "x-user", "--for", options.time or "60s", ... }
    wait.for_("the canary", function() return p:is_over() or #g:log "reload.canary" > 0 end)
    return p
  end

  -- Its exit code, what it said, and what it complained of.
  local function verdict(p)
    local code = p:wait(90)
    local out, err = p:stdout(), p:stderr()
    p:kill()
    return code, out, err
  end

  local function ask(path, user) return g:get(path, { ["X-User"] = tostring(user) }) end

  -- Which of the users 1 to n are served by the new one.
  local function chosen(n)
    local users = {}
    for user = 1, n do users[user] = ask("/word", user).body == "new" end
    return users
  end

  -- Asks on until the verb is over.
  local function feed(p, path)
    local user = 0
    wait.for_("the verdict", function()
      for _ = 1, 20 do
        user = user + 1
        ask(path, user)
      end
      return p:is_over()
    end)
    return verdict(p)
  end

  local function promote() return g:ask("POST", "/generations/promote") end

  it("serves its share, the same users again and again, whichever worker they meet", function()
    local p = begin { share = "30%" }
    local first = chosen(200)
    assert.same(first, chosen(200))
    local count = 0
    for _, is_new in ipairs(first) do count = count + (is_new and 1 or 0) end
    -- 60 of 200 expected; five standard deviations.
    assert.is_true(count > 27 and count < 93, count)
    -- Without the header the client's address is the key: all or none.
    local word = g:get "/word".body
    for _ = 1, 20 do assert.equal(word, g:get "/word".body) end
    assert.equal(200, promote().status)
    local code, out = verdict(p)
    assert.equal(0, code)
    assert.matches("canary +%d+ requests, 0 raised", out)
    assert.matches("generation 2 is live in 2 workers", out)
    for user = 1, 50 do assert.equal("new", ask("/word", user).body) end
  end)

  it("is live by itself when it did no worse in its time", function()
    local code, out = feed(begin { time = "3s" }, "/word")
    assert.equal(0, code)
    assert.matches("baseline +%d+ requests", out)
    assert.equal(2, g:status().generation.number)
  end)

  it("goes away as soon as it raises errors that the old one does not", function()
    g:expect "script.error"
    g:expect "reload"
    local code, out, err = feed(begin { extra = "error 'bad'" }, "/word")
    assert.equal(78, code)
    assert.matches("canary +%d+ requests, %d+ raised", out)
    assert.matches("100.00 %% of its %d+ requests raised an error, and 0.00 %% of the %d+", err)
    assert.matches("reload rejected: generation 1 stays active\n", err)
    for user = 1, 50 do assert.equal("old", ask("/word", user).body) end
  end)

  it("goes away when it fails, refuses or is slow where the old one is not", function()
    g:expect "reload"
    local cases = {
      ["failed"] = "do return weir.json(502, {}) end",
      ["were refused"] = "do return nil, { kind = 'refused', message = 'no' } end",
      ["were slow"] = "weir.sleep '150ms'",
    }
    for what, extra in pairs(cases) do
      local code, _, err = feed(begin { extra = extra }, "/word")
      assert.equal(78, code, what)
      assert.matches("requests " .. what .. ",", err)
    end
    assert.equal(1, g:status().generation.number)
  end)

  it("is not believed when it served hardly anybody", function()
    g:expect "reload"
    local code, _, err = verdict(begin { time = "1s" })
    assert.equal(78, code)
    assert.matches("it served 0 requests, and 20 are needed to judge it", err)
    assert.equal(1, g:status().generation.number)
  end)

  it("leaves jobs, and the options of what both name, to the live one", function()
    local p = begin { calls = 5 }
    wait.for_("the old one's jobs to run", function()
      for user = 1, 40 do
        local word, runs = ask("/runs", user).body:match "(%w+) (%d+)"
        assert.is_true(word == "old" or runs == "0", word .. runs)
        if word == "old" and tonumber(runs) > 3 then return true end
      end
    end)
    for user = 1, 40 do ask("/pay", user) end
    assert.equal(40, g:breaker "pay".calls) -- one state for both
    assert.equal(20, g:bulkhead "pay".max)
    promote()
    assert.equal(0, (verdict(p)))
    assert.equal(5, g:bulkhead "pay".max)
    wait.for_("the new one's jobs to run", function()
      return tonumber(ask("/runs", 1).body:match "%d+") > 3
    end)
  end)

  it("has upstreams of its own", function()
    local p = begin {}
    local words = {}
    for user = 1, 40 do
      local r = ask("/forward", user)
      assert.equal(200, r.status)
      words[r.headers["x-word"]] = true
    end
    assert.is_true(words.old and words.new)
    promote()
    assert.equal(0, (verdict(p)))
  end)

  it("is taken up by a worker that comes later", function()
    g:expect "worker.exit"
    local p = begin {}
    local before = chosen(60)
    for _, pid in ipairs(g:pids()) do
      assert.equal(0, os.execute("kill -KILL " .. pid))
      wait.for_("a successor", function()
        local pids = g:pids()
        return pids[1] ~= pid and pids[2] ~= pid and pids[1] ~= 0 and pids[2] ~= 0
      end)
      g:workers_live()
    end
    wait.for_("the canary in all of them", function()
      return (pcall(assert.same, before, chosen(60)))
    end)
    promote()
    assert.equal(0, (verdict(p)))
  end)

  it("gives way to a rollback, and to whatever is asked for after it", function()
    g:expect "reload"
    local p = begin {}
    assert.equal(200, g:ask("POST", "/generations/rollback").status)
    local code, _, err = verdict(p)
    assert.equal(78, code)
    assert.matches("an operator rolled it back", err)
    assert.equal(1, g:status().generation.number)

    p = begin { word = "newer" }
    wait.for_("the second canary", function() return #g:log "reload.canary" == 2 end)
    write { word = "newest" }
    assert.equal(200, g:ask("POST", "/reload").status)
    code, _, err = verdict(p)
    assert.equal(78, code)
    assert.matches("something else was asked for", err)
    assert.equal("newest", ask("/word", 1).body)
  end)

  it("shows in the list, with what it serves", function()
    local p = begin {}
    chosen(40)
    local rows = wait.for_("the counts", function()
      local rows = json.decode(g:ask("GET", "/generations").body)
      return rows[1].served + rows[2].served == 40 and rows
    end)
    assert.equal("canary", rows[1].state)
    assert.equal("live", rows[2].state)
    promote()
    assert.equal(0, (verdict(p)))
  end)

  it("ends with weir", function()
    local p = begin {}
    g:expect "reload"
    g:stop()
    local code, _, err = verdict(p)
    assert.equal(78, code)
    assert.matches("weir is stopping", err)
  end)

  it("cannot listen elsewhere", function()
    g:expect "reload"
    local code, _, err = verdict(begin { MAIN .. "weir.listen '127.0.0.1:0'" })
    assert.equal(78, code)
    assert.matches("it listens on other addresses %(127.0.0.1:0%): reload without %-%-canary", err)
  end)

  it("says what is wrong with its options", function()
    for query, message in pairs {
      ["canary=51%25"] = "'51%%' is no share: give a percentage from 0.01%% to 50%%",
      ["canary=0"] = "'0' is no share",
      ["canary=0.001"] = "is no share",
      ["canary=x"] = "'x' is no share",
      ["canary=5&for=500ms"] = "'500ms' is not a time from 1s to 24h",
      ["canary=5&for=x"] = "'x' is not a time",
      ["canary=5&by=a%20b"] = "is no name of a header",
    } do
      local r = g:ask("POST", "/reload?" .. query)
      assert.equal(400, r.status, query)
      assert.matches(message, json.decode(r.body).message)
    end
    assert.equal(400, promote().status)
    local p = process.spawn { process.program "weir", "reload", "--admin", g.admin, "--for", "1s" }
    local code, _, err = verdict(p)
    assert.equal(2, code)
    assert.matches("%-%-for is about a canary", err)
  end)
end)
