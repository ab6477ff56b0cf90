-- Caches of several workers together: one fetch for all who ask at once, stale values, failures
-- that are remembered, purges. A fetch waits at a gate that the spec opens, so nothing here depends
-- on how long anything takes.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local CALLS = 24

describe("cache:fetch", function()
  local g

  setup(function()
    g = gateway.start { workers = 4, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local store = weir.cache("store", { ttl = "1h" })
      local short = weir.cache("short", { ttl = "1ms", stale = "1h", negative = "1ms" })
      local brittle = weir.cache("brittle", { ttl = "1ms", stale_error = "1h", negative = "1h" })
      local narrow = weir.cache("narrow", { waiters = 2 })
      local gates = weir.cache("gates", { ttl = "1h" })
      local caches = { store = store, short = short, brittle = brittle, narrow = narrow }

      -- What the gate of that key holds, once it is set: { value | error | status, version }.
      local function gate(key)
        weir.log.info("fetch " .. key)
        while not gates:get(key) do
          local ok, err = weir.sleep "2ms"
          if not ok then return nil, err end
        end
        return gates:get(key)
      end

      weir.route("PUT /gate/:key", function(req)
        gates:set(req.params.key, req:json())
        return "open"
      end)
      weir.route("DELETE /gate/:key", function(req)
        gates:delete(req.params.key)
        return "closed"
      end)

      local function answer(value, err, how)
        if err then return weir.json(200, { kind = err.kind, message = err.message, how = how }) end
        local is_response = type(value) == "userdata"
        return weir.json(200, { value = is_response and value:text() or value, how = how,
          status = is_response and value.status or nil })
      end

      weir.route("GET /:cache/:key", { deadline = "30s" }, function(req)
        local key = req.params.key
        return answer(caches[req.params.cache]:fetch(key, function()
          local g, err = gate(key)
          if not g then return nil, err end
          if g.error then return nil, weir.error(g.error, "as told") end
          if g.status then return weir.response(g.status, "text", { ["X-Lost"] = "1" }) end
          if g.size then return ("x"):rep(g.size) end
          return g.value
        end, { tags = { "all", req.query.tag } }))
      end)
      -- The refresh asks the request for the key when its client has got the stale value.
      weir.route("/late/:key", function(req)
        local value, err, how = short:fetch(req.params.key, function()
          local g, err = gate(req.params.key)
          if not g then return nil, err end
          return table.concat({ req.method, req.params.key, req.query.q, req.headers["x-own"],
            req.target }, " ")
        end)
        if req.method == "POST" then how = how .. " " .. req:text() end
        return answer(value, err, how)
      end)
      weir.route("GET /brief/:key", { deadline = "200ms" }, function(req)
        local key = req.params.key
        return answer(store:fetch(key, function()
          local g, err = gate(key)
          return g and "in time", err
        end))
      end)
      weir.route("GET /set/:size", function(req)
        local value, err = store:set("sized", ("x"):rep(tonumber(req.params.size)))
        return #value .. " " .. (err and err.kind or "stored")
      end)
      weir.route("POST /purge/:cache/:key", function(req)
        return tostring(caches[req.params.cache]:purge(req.params.key))
      end)
      weir.route("GET /unknown", function() return weir.cache("stroe"):get "x" end)
      weir.route("POST /purge-tag/:cache/:tag", function(req)
        caches[req.params.cache]:purge_tag(req.params.tag)
        return "purged"
      end)
    ]] }
    for _, event in ipairs { "worker.exit", "admin.action", "script.error" } do g:expect(event) end
  end)
  teardown(function() g:stop() end)

  local function cache(name)
    for _, one in ipairs(g:status().caches) do
      if one.name == name then return one end
    end
  end
  local function open(key, what)
    assert.equal(200, g:request("PUT", "/gate/" .. key, nil, json.encode(what)).status)
  end
  local function close(key) g:request("DELETE", "/gate/" .. key) end
  local function begin(path, count)
    local clients = {}
    for i = 1, count do clients[i] = g:begin("GET", path) end
    return clients
  end
  local function waiting(name, fetching, count)
    wait.for_(("%d fetching, %d waiting"):format(fetching, count), function()
      local c = cache(name)
      return c.fetching == fetching and c.waiting == count,
        ("%d fetching, %d waiting"):format(c.fetching, c.waiting)
    end)
  end
  local function read(client)
    local r = client:response()
    client:close()
    return json.decode(r.body)
  end
  local function ask(path) return json.decode(g:get(path).body) end
  -- Calls of the function that ended while their callers were there.
  local function calls(name)
    local c = cache(name)
    return c.refreshed + c.refresh_failed
  end
  local function fetched(key, count)
    wait.for_(count .. " fetches of " .. key, function()
      local seen = #g:log("script.log", { message = "fetch " .. key })
      return seen == count, seen
    end)
  end

  it("calls once for all who miss a key at once, in four workers", function()
    local before = calls "store"
    local clients = begin("/store/one", CALLS)
    waiting("store", 1, CALLS - 1)
    open("one", { value = { n = 1 } })
    local hows = {}
    for _, c in ipairs(clients) do
      local r = read(c)
      assert.same({ n = 1 }, r.value)
      hows[r.how] = (hows[r.how] or 0) + 1
    end
    assert.same({ miss = 1, coalesced = CALLS - 1 }, hows)
    assert.equal(1, calls "store" - before)
    for _ = 1, 8 do assert.equal("hit", ask("/store/one").how) end
    waiting("store", 0, 0)
  end)

  it("lets another lead when the leader's worker is killed", function()
    local before = calls "store"
    local clients = begin("/store/killed", CALLS)
    waiting("store", 1, CALLS - 1)
    fetched("killed", 1)
    local leader = g:log("script.log", { message = "fetch killed" })[1].worker
    local pid
    for _, w in ipairs(g:status().workers) do
      if w.slot == leader then pid = w.pid end
    end
    os.execute("kill -9 " .. pid)
    fetched("killed", 2)
    open("killed", { value = "alive" })
    local served = 0
    for _, c in ipairs(clients) do
      local ok, r = pcall(read, c)
      if ok then
        assert.equal("alive", r.value)
        served = served + 1
      end
    end
    assert.is_true(served >= 1 and served < CALLS)
    assert.equal(1, calls "store" - before)
    g:workers_live()
    waiting("store", 0, 0)
  end)

  it("lets another lead when the leader's client leaves", function()
    local before = calls "store"
    local first = g:begin("GET", "/store/left")
    waiting("store", 1, 0)
    local clients = begin("/store/left", 5)
    waiting("store", 1, 5)
    first:close()
    waiting("store", 1, 4)
    open("left", { value = "still" })
    for _, c in ipairs(clients) do assert.equal("still", read(c).value) end
    assert.equal(1, calls "store" - before)
  end)

  it("bounds a wait by the caller's own deadline", function()
    local before = calls "store"
    local first = g:begin("GET", "/store/slow")
    waiting("store", 1, 0)
    local r = ask "/brief/slow"
    assert.equal("deadline", r.kind)
    waiting("store", 1, 0)
    open("slow", { value = "late" })
    assert.equal("late", read(first).value)
    assert.equal(1, calls "store" - before)
  end)

  it("passes the lead on when the leader's own time is up", function()
    local first = g:begin("GET", "/brief/short")
    waiting("store", 1, 0)
    local second = g:begin("GET", "/store/short")
    assert.equal("deadline", read(first).kind)
    fetched("short", 2)
    open("short", { value = "second" })
    assert.equal("second", read(second).value)
  end)

  it("bounds who may wait", function()
    local clients = begin("/narrow/k", 3)
    waiting("narrow", 1, 2)
    local r = ask "/narrow/k"
    assert.equal("refused", r.kind)
    assert.matches("2 of 2 calls wait", r.message)
    open("k", { value = 1 })
    for _, c in ipairs(clients) do assert.equal(1, read(c).value) end
  end)

  it("gives a failure to all who wait, and to those who ask soon after", function()
    for _, case in ipairs {
      { "refused", { error = "connect" }, "kind", "connect" },
      { "busy", { status = 503 }, "status", 503 },
    } do
      local key, gate, field, want = unpack(case)
      local before = calls "brittle"
      local clients = begin("/brittle/" .. key, CALLS)
      waiting("brittle", 1, CALLS - 1)
      open(key, gate)
      for _, c in ipairs(clients) do assert.equal(want, read(c)[field], key) end
      local r = ask("/brittle/" .. key)
      assert.equal(want, r[field], key)
      assert.equal("negative", r.how)
      assert.equal(1, calls "brittle" - before, key)
    end
  end)

  it("remembers that there is nothing", function()
    local before = calls "brittle"
    open("nothing", {})
    assert.is_nil(ask("/brittle/nothing").value)
    assert.equal("negative", ask("/brittle/nothing").how)
    assert.equal(1, calls "brittle" - before)
  end)

  it("serves stale at once while one call refreshes", function()
    open("swr", { value = "old" })
    assert.equal("old", ask("/short/swr").value)
    close "swr"
    wait.for_("it to be stale", function() return ask("/short/swr").how == "stale" end)
    for _ = 1, CALLS do
      local r = ask "/short/swr"
      assert.same({ "old", "stale" }, { r.value, r.how })
    end
    fetched("swr", 2)
    waiting("short", 1, 0)
    local before = cache("short").refreshed
    open("swr", { value = "new" })
    wait.for_("the refresh", function() return cache("short").refreshed > before end)
    assert.equal("new", ask("/short/swr").value)
  end)

  it("lets a refresh read the request that is over", function()
    local function post(body)
      local r = g:request("POST", "/late/own?q=2", { ["X-Own"] = "3" }, body)
      return json.decode(r.body)
    end
    open("own", { value = 1 })
    local made = "POST own 2 3 /late/own?q=2"
    local first = post "one"
    assert.same({ made, "miss one" }, { first.value, first.how })
    close "own"
    wait.for_("it to be stale", function() return post("two").how == "stale two" end)
    waiting("short", 1, 0)
    local before = cache "short"
    open("own", { value = 1 })
    wait.for_("the refresh", function() return cache("short").refreshed > before.refreshed end)
    assert.same({ made, before.refresh_failed },
      { post("three").value, cache("short").refresh_failed })
  end)

  it("serves what is stale when the refresh fails, and never loses it", function()
    local before = calls "brittle"
    open("sie", { value = "good" })
    assert.equal("good", ask("/brittle/sie").value)
    open("sie", { error = "connect" })
    wait.for_("it to be stale", function() return ask("/brittle/sie").how == "stale" end)
    for _ = 1, 8 do
      local r = ask "/brittle/sie"
      assert.same({ "good", "stale" }, { r.value, r.how })
    end
    assert.equal(2, calls "brittle" - before, "the failure is remembered")
    g:request("POST", "/purge/brittle/sie")
    assert.equal("connect", ask("/brittle/sie").kind)
  end)

  it("keeps what a response is, and reads its body to the end", function()
    open("page", { status = 200 })
    assert.same({ value = "text", status = 200, how = "miss" }, ask "/store/page")
    assert.same({ value = "text", status = 200, how = "hit" }, ask "/store/page")
  end)

  it("lets all who wait go on by themselves when the value is too large to keep", function()
    local before = calls "store"
    local clients = begin("/store/huge", 6)
    waiting("store", 1, 5)
    open("huge", { size = 600000 })
    for _, c in ipairs(clients) do assert.equal(600000, #read(c).value) end
    assert.equal(6, calls "store" - before)
    assert.equal(6, cache("store").too_large)
  end)

  it("says what it could not store", function()
    assert.equal("10 stored", g:get("/set/10").body)
    assert.equal("600000 too_large", g:get("/set/600000").body)
  end)

  it("purges a key and a tag for all workers, and what is on its way", function()
    for _, key in ipairs { "p1", "p2", "p3" } do
      open(key, { value = key })
      ask("/store/" .. key .. "?tag=" .. (key == "p3" and "b" or "a"))
    end
    assert.equal("true", g:request("POST", "/purge/store/p1").body)
    assert.equal("false", g:request("POST", "/purge/store/p1").body)
    assert.equal("miss", ask("/store/p1?tag=a").how)
    g:request("POST", "/purge-tag/store/a")
    local hows = {}
    for _ = 1, 2 do
      for _, key in ipairs { "p1", "p2", "p3" } do
        hows[#hows + 1] = ask("/store/" .. key .. "?tag=" .. (key == "p3" and "b" or "a")).how
      end
    end
    assert.same({ "miss", "miss", "hit", "hit", "hit", "hit" }, hows)
    for _, purge in ipairs { "/purge/store/race", "/purge-tag/store/all" } do
      close "race"
      local client = g:begin("GET", "/store/race")
      waiting("store", 1, 0)
      g:request("POST", purge)
      open("race", { value = "overtaken" })
      assert.equal("overtaken", read(client).value)
      assert.equal("miss", ask("/store/race").how, purge .. ": it was not stored")
      g:request("POST", "/purge/store/race")
    end
  end)

  it("is declared at the top level: a name misspelt in a handler is no new one", function()
    assert.equal(500, g:get("/unknown").status)
    local said = g:wait_log("script.error", { route = "/unknown" }).message
    assert.matches("there is no cache 'stroe' %(did you mean 'store'%?%); declare it", said)
  end)

  it("is listed and purged by the operator, and counted", function()
    local function weir(arguments)
      local command = { process.program "weir", "cache" }
      for _, argument in ipairs(arguments) do command[#command + 1] = argument end
      command[#command + 1] = "--admin"
      command[#command + 1] = g.admin
      local child = process.spawn(command)
      return child:wait(), child:stdout() .. child:stderr()
    end
    open("op", { value = 1 })
    ask "/store/op"
    assert.equal(0, (weir { "purge", "store", "op" }))
    assert.same({ 1, "weir cache: the cache has no value under that key\n" },
      { weir { "purge", "store", "op" } })
    assert.equal("miss", ask("/store/op").how)
    assert.equal(0, (weir { "purge_tag", "store", "all" }))
    assert.equal("miss", ask("/store/op").how)
    assert.equal(0, (weir { "purge", "store" }))
    assert.equal("miss", ask("/store/op").how)
    local _, out = weir { "ls" }
    assert.matches("store", out)
    assert.is_true(g:metric("weir_cache_requests_total", 'name="store"', 'status="coalesced"')
      >= CALLS - 1)
    assert.is_true(g:metric("weir_cache_refreshes_total", 'name="brittle"', 'result="failed"') >= 4)
    assert.is_true(g:metric("weir_cache_stores_total", 'result="too_large"') >= 6)
  end)
end)
