--- `weir.selftest`, as `weir check` runs it: what a test can do, and how it fails.
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local HEAD = [[
local weir = require "weir"
weir.listen "127.0.0.1:28080"
local up = weir.upstream("pay", { endpoints = { "http://127.0.0.1:9101" } })
local guarded = weir.policy("pay", {
  weir.deadline "2s",
  weir.retry { max = 1, on = { 502 }, backoff = "10ms..10ms", jitter = "none" },
  weir.breaker { failure_rate = 0.5, min_calls = 20, open = "5s", jitter = 0, probes = 1 },
  weir.bulkhead { max = 4, queue = 4, wait = "50ms" },
  weir.timeout "800ms",
})
weir.route("/pay/:id", function(req) return guarded(function() return up:forward(req) end) end)
weir.route("/read", function(req) local body = req:text() return body:upper() end)
weir.route("/who", function(req) return req.client end)
weir.route("/raise", function() error "on purpose" end)
weir.route("/http", function()
  local res, err = weir.http.get("http://10.1.2.3:81/x?y")
  if not res then return nil, err end
  return res:text()
end)
]]
local HEAD_LINES = select(2, HEAD:gsub("\n", "\n"))

describe("weir.selftest", function()
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder) == 0)
  end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  local function write(name, text)
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end

  -- Exit code and what `weir check --json` says of a bundle with this behind HEAD.
  local function check(code, is_whole)
    write("main.lua", is_whole and code or HEAD .. code)
    local p = process.spawn { process.program "weir", "check", "--json", folder .. "/main.lua" }
    local exit = p:wait(30)
    local out = p:stdout()
    p:kill()
    return exit, json.decode(out)
  end

  local function passes(code)
    local exit, said = check(code)
    assert.equal(0, exit, said.message)
    assert.is_true(said.ok)
    return said
  end

  local function fails(code, message, line)
    local exit, said = check(code)
    assert.equal(78, exit)
    assert.equal("selftest", said.stage)
    assert.truthy(said.message:find(message, 1, true), said.message)
    assert.equal("main.lua", said.file)
    if line then assert.equal(HEAD_LINES + line, said.line) end
    return said
  end

  it("asks as a client does and answers for upstreams, bodies and fields included", function()
    local said = passes [[
      weir.selftest("forwards", function(t)
        local seen
        t:upstream("pay", function(req)
          seen = req
          return { status = 201, headers = { ["X-Id"] = req.path, ["Set-Cookie"] = { "a", "b" } },
            body = req.body .. "!" }
        end)
        local r = t:request { method = "POST", path = "/pay/7?x=1", body = ("hello"):rep(50000),
          headers = { ["X-Mine"] = "1", Connection = "X-Gone", ["X-Gone"] = "2" } }
        t:equal(201, r.status)
        t:equal("/pay/7?x=1", r.headers["x-ID"])
        t:equal("a, b", r.headers["set-cookie"])
        t:equal(250001, #r.body)
        t:truthy(r.complete)
        t:truthy(r.headers.via and r.headers["X-Request-Id"])
        t:equal("POST", seen.method)
        t:equal("1", seen.headers["x-mine"])
        t:equal(nil, seen.headers["x-gone"])
        t:equal("127.0.0.1", seen.headers["x-forwarded-for"])
      end)
      weir.selftest("answers itself", function(t)
        t:equal("ABC", t:request({ path = "/read", method = "PUT", body = "abc" }).body)
        t:equal(404, t:request("/nowhere").status)
        t:equal(400, t:request("/../..").status)
        t:equal(405, t:request { method = "TRACE" }.status)
        t:equal("192.0.2.1", t:request({ path = "/who", client = "192.0.2.1" }).body)
        local head = t:request { method = "HEAD", path = "/who" }
        t:equal(200, head.status)
        t:equal("", head.body)
        local raised = t:request "/raise"
        t:equal(500, raised.status)
        t:equal("application/problem+json", raised.headers["content-type"])
      end)
      weir.selftest("plain URLs", function(t)
        t:equal(502, t:request("/http").status)
        t:upstream("http://10.1.2.3:81", function(req) return req.host .. req.path end)
        t:equal("10.1.2.3:81/x?y", t:request("/http").body)
      end)
    ]]
    assert.equal(3, said.selftests)
  end)

  it("takes milliseconds for what takes long, in virtual time", function()
    local from = wait.now()
    passes [[
      weir.selftest("opens after 20 failures and probes after 5 s", function(t)
        local calls, is_down = 0, true
        t:upstream("pay", function()
          calls = calls + 1
          return { status = is_down and 503 or 200 }
        end)
        for _ = 1, 20 do t:equal(503, t:request("/pay/1").status) end
        local r = t:request "/pay/1"
        t:equal("5", r.headers["Retry-After"])
        t:equal(20, calls)
        is_down = false
        t:advance "4.999s"
        t:equal(503, t:request("/pay/1").status)
        t:advance "1ms"
        t:equal(200, t:request("/pay/1").status)
        t:equal(21, calls)
      end)
      weir.selftest("times out and queues", function(t)
        t:upstream("pay", function() weir.sleep "10s" return "late" end)
        local from = weir.now()
        t:equal(504, t:request("/pay/1").status)
        t:truthy(math.abs(weir.now() - from - 0.8) < 1e-6, "800 ms")
        local calls = {}
        for i = 1, 9 do calls[i] = function() return t:request("/pay/1").status end end
        local count = {}
        for _, status in ipairs(weir.all(calls)) do count[status] = (count[status] or 0) + 1 end
        t:equal(4, count[504])
        t:equal(5, count[503])
      end)
      weir.selftest("retries", function(t)
        local times = {}
        t:upstream("pay", function()
          times[#times + 1] = weir.now()
          return { status = #times == 1 and 502 or 200 }
        end)
        t:equal(200, t:request("/pay/1").status)
        t:truthy(math.abs(times[2] - times[1] - 0.01) < 1e-6)
      end)
      weir.selftest("lets half an hour pass", function(t)
        local from = weir.now()
        t:advance "30m"
        t:equal(1800, math.floor(weir.now() - from + 0.5))
      end)
    ]]
    assert.is_true(wait.now() - from < 5)
  end)

  it("begins each test with scripts and state of its own, and decides the same", function()
    passes [[
      local count = 0
      for i = 1, 3 do
        weir.selftest("one of many " .. i, function(t)
          count = count + 1
          t:equal(1, count)
          t:upstream("pay", function() return nil, "connect" end)
          for _ = 1, 40 do t:request "/pay/1" end
          t:truthy(t:request("/pay/1").body:find "breaker")
        end)
      end
    ]]
    local _, first = check [[weir.selftest("dice", function(t) t:equal(0, math.random()) end)]]
    local _, second = check [[weir.selftest("dice", function(t) t:equal(0, math.random()) end)]]
    assert.equal(first.message, second.message)
  end)

  it("says 0 where the gateway breaks the connection off, and what is not whole", function()
    passes [[
      weir.route("/broken", function() return nil, weir.error("cancelled", "on purpose") end)
      weir.selftest("broken off", function(t)
        local r = t:request "/broken"
        t:equal(0, r.status)
        t:equal(false, r.complete)
        t:equal("", r.body)
      end)
    ]]
  end)

  it("runs what waits for turns, what is held back, and what nobody ends", function()
    passes [[
      local limited = weir.policy("limited", { weir.limiter { rate = "10/s", burst = 1,
        wait = "10s" } })
      weir.route("/limited", function(req)
        return limited(function() return up:forward(req) end)
      end)
      local hedged = weir.policy("hedged", { weir.hedge { delay = "50ms", budget = false } })
      weir.route("/hedged", function(req)
        return hedged(function() return up:forward(req) end)
      end)
      local found = weir.upstream("found", { dns = "http://api.test:80" })
      weir.route("/found", function(req) return found:forward(req) end)
      local values = weir.cache("values", { ttl = "1m" })
      weir.route("/value", function() return values:fetch("k", function()
        return up:get "/x" end) end)
      local two = weir.upstream("two", { endpoints = { "http://10.0.0.1", "http://10.0.0.2" },
        outlier = { consecutive = 3, base = "10s", jitter = 0 } })
      weir.route("/two", function(req) return two:forward(req) end)
      weir.selftest("turns", function(t)
        t:upstream("pay", function() return "x" end)
        local from, calls = weir.now(), {}
        for i = 1, 20 do calls[i] = function() return t:request("/limited").status end end
        for _, status in ipairs(weir.all(calls)) do t:equal(200, status) end
        t:truthy(math.abs(weir.now() - from - 1.9) < 0.01, "19 gaps of 100 ms")
      end)
      weir.selftest("a second attempt", function(t)
        local count, from = 0, weir.now()
        t:upstream("pay", function()
          count = count + 1
          local mine = count
          if mine == 1 then weir.sleep "5s" end
          return "from " .. mine
        end)
        t:equal("from 2", t:request("/hedged").body)
        t:truthy(math.abs(weir.now() - from - 0.05) < 1e-6)
      end)
      weir.selftest("one fetch for all", function(t)
        local count, calls = 0, {}
        t:upstream("pay", function()
          count = count + 1
          weir.sleep "1s"
          return "v" .. count
        end)
        for i = 1, 10 do calls[i] = function() return t:request("/value").body end end
        for _, body in ipairs(weir.all(calls)) do t:equal("v1", body) end
        t:advance "61s"
        t:equal("v2", t:request("/value").body)
      end)
      weir.selftest("endpoints", function(t)
        local bad = 0
        t:upstream("found", function() return "found" end)
        t:equal("found", t:request("/found").body)
        t:upstream("two", function(req)
          if req.host == "10.0.0.2" then return "ok" end
          bad = bad + 1
          return { status = 503 }
        end)
        for _ = 1, 60 do t:request "/two" end
        local before = bad
        for _ = 1, 20 do t:equal(200, t:request("/two").status) end
        t:equal(before, bad, "it is out")
        t:advance "11s"
        for _ = 1, 20 do t:request "/two" end
        t:truthy(bad > before, "it is asked again")
      end)
      weir.selftest("large bodies", function(t)
        t:upstream("found", function(req) return { body = ("y"):rep(3000000) .. #req.body } end)
        local r = t:request { path = "/found", method = "PUT", body = ("x"):rep(2000000) }
        t:equal(3000007, #r.body)
        t:truthy(r.complete)
      end)
      weir.selftest("leaves things under way", function(t)
        t:upstream("found", function() weir.sleep "20m" return "x" end)
        weir.spawn(function() t:request "/found" end)
        weir.spawn(function() weir.sleep "50m" end)
        t:equal("left", weir.race { function() return t:request("/found").body end,
          function() weir.sleep "10ms" return "left" end })
      end)
    ]]
  end)

  for name, case in pairs {
    ["a value that is wrong"] = { 't:equal(200, t:request("/nowhere").status, "it")',
      "expected 200, got 404 (it)" },
    ["a value that is missing"] = { 't:truthy(nil, "a thing")', "expected something, got nil (a" },
    ["what it raises"] = { "local x; x.y = 1", "attempt to index local 'x' (a nil value)" },
    ["an assertion"] = { 'assert(1 == 2, "no sense")', "no sense" },
    ["an error that it returns"] = { 'do return nil, weir.error("timeout", "too late") end',
      "it returned an error: too late (timeout)" },
    ["an unknown upstream"] = { 't:upstream("pya", print)', "there is no upstream 'pya'" },
    ["an answer that is none"] = {
      't:upstream("pay", function() return { sttus = 1 } end) t:request "/pay/1"',
      "unknown option 'sttus' (did you mean 'status'?)" },
    ["an upstream that raises"] = {
      't:upstream("pay", function() error "in it" end) t:request "/pay/1"', "in it" },
    ["a field that would be two"] = { 't:request { headers = { a = "b\\nc" } }',
      "the field 'a' has a line's end in it" },
    ["a wait beyond an hour"] = { 'weir.sleep "2h"',
      "it has not ended after an hour of virtual time" },
    ["a loop that computes"] = { "while true do end", "ran longer than script_burst allows" },
    ["a loop that catches"] = { "while true do pcall(function() while true do end end) end",
      "ran longer than script_burst allows (50ms)" },
    ["a loop that takes real time"] = { 'while true do weir.sleep "1ms" end',
      "the selftests have not ended after 3 s of work" },
    ["a memory bomb"] = { 'local s = {} while true do s[#s + 1] = ("x"):rep(1e6) .. #s end',
      "more memory than script_" },
    ["a slow memory bomb"] = {
      'local s = {} while true do s[#s + 1] = ("x"):rep(1e6) .. #s weir.sleep "1ms" end',
      "more memory than script_memory allows" },
  } do
    it("fails for " .. name .. ", and says where", function()
      local said = fails(('weir.selftest("the name", function(t)\n%s\nend)'):format(case[1]),
        "selftest 'the name': ")
      assert.truthy(said.message:find(case[2], 1, true), said.message)
      assert.is_true(said.line >= HEAD_LINES + 1 and said.line <= HEAD_LINES + 2, said.line)
    end)
  end

  it("is told apart from the others, and the first that fails is told", function()
    fails([[
      weir.selftest("first", function() end)
      weir.selftest("second", function() error "2" end)
      weir.selftest("third", function() error "3" end)
    ]], "selftest 'second': 2", 2)
  end)

  it("has no network, whatever it asks", function()
    passes [[
      weir.selftest("nothing is there", function(t)
        local res, err = weir.http.get "http://127.0.0.1:9101/x"
        t:equal(nil, res)
        t:equal("connect", err.kind)
        t:truthy(err.message:find("no answers are scripted for 'http://127.0.0.1:9101'", 1, true))
        t:equal(502, t:request("/pay/1").status)
      end)
    ]]
  end)

  it("is declared at the top level, once, with a name and a function", function()
    for code, message in pairs {
      ['weir.selftest("x")'] = "selftest 'x': takes a function, not a nil",
      ['weir.selftest("", print)'] = "selftest: its name is a text of 1 to 127 bytes",
      ['weir.selftest("x", print) weir.selftest("x", print)'] = "selftest 'x' is declared twice",
    } do
      local exit, said = check(code)
      assert.equal(78, exit)
      assert.equal("load", said.stage)
      assert.truthy(said.message:find(message, 1, true), said.message)
    end
    fails('weir.selftest("x", function() weir.selftest("y", print) end)',
      "declarations belong to the top level")
  end)

  it("may stand in a module, and is told with the module's place", function()
    write("part.lua", 'local weir = require "weir"\n\nweir.selftest("of a part", function()\n'
      .. 'error "here"\nend)\n')
    local exit, said = check('require "part"')
    assert.equal(78, exit)
    assert.equal("part.lua", said.file)
    assert.equal(4, said.line)
  end)
end)
