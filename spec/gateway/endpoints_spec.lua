-- Endpoints that fail, come back, come and go, as clients and operators see it.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local members = require "spec.support.members"
local process = require "spec.support.process"
local wait = require "spec.support.wait"
local zone = require "spec.support.zone"

local HEAD = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
]]
local ROUTES = [[
  weir.route("GET /x", function(req) return up:forward(req) end)
  weir.route("GET /endpoints", function(req) return weir.json(200, up:endpoints()) end)
]]

local function list_of(m, letters)
  local urls = {}
  for letter in letters:gmatch "." do urls[#urls + 1] = ("%q"):format(m:url(letter)) end
  return "{ " .. table.concat(urls, ", ") .. " }"
end

-- A gateway with an upstream "up" of these options.
local function start(options, extra)
  local bundle = { HEAD .. ('  local up = weir.upstream("up", { %s })\n'):format(options) .. ROUTES,
    workers = 2 }
  for key, value in pairs(extra or {}) do
    if key == "script" then bundle[1] = bundle[1] .. value else bundle[key] = value end
  end
  return gateway.start(bundle)
end

-- Sends n requests; how many each member answered with 200, and how many failed.
local function send(g, n)
  local got = { failed = 0 }
  for _ = 1, n do
    local r = g:get "/x"
    if r.status == 200 then
      got[r.body] = (got[r.body] or 0) + 1
    else
      got.failed = got.failed + 1
    end
  end
  return got
end

local function upstream(g, name)
  for _, u in ipairs(g:status().upstreams) do
    if u.name == (name or "up") then return u end
  end
end

local function endpoint(g, url)
  for _, e in ipairs(upstream(g).endpoints) do
    if e.url == url then return e end
  end
end

describe("outlier ejection", function()
  local m, g
  setup(function() m = members.start(4) end)
  teardown(function() m:kill() end)
  before_each(function()
    for letter in ("abcd"):gmatch "." do m:set(letter, {}) end
  end)
  after_each(function()
    g:stop()
  end)

  it("is on by default: five failures in a row, however the workers share them", function()
    g = start("endpoints = " .. list_of(m, "abc"))
    g:expect "endpoint.transition"
    m:set("b", { status = 503 })
    local got
    wait.for_("b to be ejected", function()
      got = send(g, 5)
      return endpoint(g, m:url "b").ejected
    end)
    g:wait_log("endpoint.transition", { endpoint = m:url "b", to = "ejected",
      cause = "consecutive" })
    got = send(g, 30)
    assert.same({ 0, nil }, { got.failed, got.b })
    assert.equal(1, g:metric("weir_endpoint_ejected", m:url "b"))
    assert.equal(0, g:metric("weir_endpoint_ejected", m:url "a"))
    assert.equal(1, g:metric("weir_endpoint_ejections_total", "consecutive"))
    assert.equal(2, g:metric("weir_upstream_endpoints_usable", "up"))
    -- A reload keeps it.
    assert.equal("live", g:reload({ HEAD .. ('  local up = weir.upstream("up", '
      .. '{ endpoints = %s })\n'):format(list_of(m, "abc")) .. ROUTES .. "-- changed\n" }).result)
    g:workers_live()
    got = send(g, 20)
    assert.same({ 0, nil }, { got.failed, got.b })
    assert.is_true(endpoint(g, m:url "b").ejected)
  end)

  it("is seen coming: each endpoint's latency of late, and its last error", function()
    g = start("endpoints = " .. list_of(m, "ab"))
    g:expect "endpoint.transition" -- b may fail five times before a is asked
    m:set("b", { status = 503 })
    wait.for_("both to be known", function()
      g:get "/x"
      return endpoint(g, m:url "b").last_error and endpoint(g, m:url "a").latency_s ~= json.null
    end)
    local a, b = endpoint(g, m:url "a"), endpoint(g, m:url "b")
    assert.is_true(a.latency_s > 0)
    assert.is_nil(a.last_error)
    assert.same({ "503", false }, { b.last_error, b.last_error_of_check })
    assert.is_true(b.last_error_s >= 0)
    local function weir(...)
      local child = process.spawn { process.program "weir", ... }
      child:wait()
      local out = child:stdout()
      child:kill()
      return out
    end
    assert.matches('last_error="503"', weir("upstream", "show", "up", "--admin", g.admin))
    local status = weir("status", "--admin", g.admin)
    assert.matches("slowest +last error", status)
    assert.matches("503 %d+s ago", status)
  end)

  it("ends by itself, and the endpoint begins slowly", function()
    g = start("endpoints = " .. list_of(m, "ab") .. ", balance = 'random', slow_start = '1h', "
      .. "outlier = { base = '300ms' }")
    g:expect "endpoint.transition"
    m:set("b", { status = 502 })
    wait.for_("b to be ejected", function()
      send(g, 5)
      return endpoint(g, m:url "b").ejected
    end)
    m:set("b", {})
    g:wait_log("endpoint.transition", { endpoint = m:url "b", to = "back", cause = "elapsed" })
    local got = send(g, 100)
    -- A tenth of its share: 1 of 11.
    assert.equal(0, got.failed)
    assert.is_true((got.b or 0) <= 30, got.b)
  end)

  it("never takes the last one, nor more than half", function()
    g = start("endpoints = " .. list_of(m, "abcd") .. ", outlier = { consecutive = 2 }")
    g:expect "endpoint.transition"
    for letter in ("abcd"):gmatch "." do m:set(letter, { status = 503 }) end
    wait.for_("two to be ejected", function()
      send(g, 10)
      return upstream(g).ejected == 2
    end)
    send(g, 40)
    assert.equal(2, upstream(g).ejected)
    assert.is_true(g:metric("weir_endpoint_ejections_spared_total", "up") > 0)
    assert.equal(0, g:metric("weir_upstream_panic", "up"))
  end)

  it("counts neither local refusals nor cancelled calls", function()
    g = start("endpoints = " .. list_of(m, "ab") .. ", pool = { max = 1 }, "
      .. "outlier = { consecutive = 1 }", { script = [[
        local slow = weir.policy("slow", { weir.deadline "20ms" })
        weir.route("GET /late", function(req)
          return slow(function() return up:forward(req) end)
        end)
      ]] })
    m:set("a", { delay = 500 })
    m:set("b", { delay = 500 })
    for _ = 1, 6 do
      local client = g:begin("GET", "/late")
      client:close()
    end
    for _ = 1, 4 do assert.is_true(g:get("/late").status >= 500) end
    g:wait_idle()
    assert.equal(0, upstream(g).ejected)
  end)

  it("can be off, and takes no nonsense", function()
    g = start("endpoints = " .. list_of(m, "ab") .. ", outlier = false")
    g:expect "reload"
    m:set("a", { status = 503 })
    local got = send(g, 40)
    assert.is_true(got.failed > 5)
    assert.equal(0, upstream(g).ejected)
    for option, text in pairs {
      ["outlier = { consecutve = 1 }"] = "did you mean 'consecutive'?",
      ["outlier = { base = '1m', max = '1s' }"] = "outlier: max is at least base",
      ["dns = 'http://a.test'"] = "it has both endpoints and dns",
    } do
      local verdict = g:reload { HEAD .. ('  weir.upstream("other", { endpoints = %s, %s })')
        :format(list_of(m, "ab"), option) }
      assert.truthy(verdict.message:find(text, 1, true), verdict.message)
    end
  end)

  it("is not needed for peak_ewma to leave an endpoint that fails fast alone", function()
    g = start("endpoints = " .. list_of(m, "abc") .. ", outlier = false, balance = 'peak_ewma'",
      { workers = 1 })
    m:set("a", { delay = 3 })
    m:set("b", { delay = 3 })
    m:set("c", { status = 503, share = 0.3 }) -- answers at once otherwise
    send(g, 20)
    local got = send(g, 150)
    assert.is_true(got.failed + (got.c or 0) < 50, "it gets less than its third")
  end)

  it("takes one out whose failure rate is far above the others'", function()
    g = start("endpoints = " .. list_of(m, "abc") .. ", balance = 'round_robin', outlier = "
      .. "{ consecutive = 0, failure_rate = 0.2, window = '500ms', min_calls = 10 }")
    g:expect "endpoint.transition"
    m:set("c", { status = 503, share = 0.6 })
    wait.for_("c to be ejected", function()
      send(g, 20)
      return endpoint(g, m:url "c").ejected
    end)
    g:wait_log("endpoint.transition", { endpoint = m:url "c", cause = "failure_rate" })
  end)
end)

describe("health checks of endpoints", function()
  it("take one out and bring it back, absolve an ejected one, and panic is told", function()
    local m = members.start(3)
    local g = start("endpoints = " .. list_of(m, "abc") .. ", health = { path = '/healthz', "
      .. "interval = '100ms', fall = 2 }, outlier = { base = '1h', max = '1h' }")
    g:expect "endpoint.transition"
    g:expect "upstream.panic"
    m:set("a", { healthy = false })
    g:wait_log("endpoint.transition", { endpoint = m:url "a", to = "unhealthy" })
    wait.for_("a to be out everywhere", function() return (send(g, 12).a or 0) == 0 end)
    assert.equal(0, g:metric("weir_upstream_healthy", m:url "a"))
    -- Two of three out: below half, so nobody counts as out.
    m:set("b", { healthy = false })
    g:wait_log("upstream.panic", { upstream = "up", on = true })
    assert.equal(1, g:metric("weir_upstream_panic", "up"))
    wait.for_("all to be used", function()
      local got = send(g, 12)
      return got.a and got.b and got.c
    end)
    m:set("a", {})
    m:set("b", {})
    g:wait_log("upstream.panic", { upstream = "up", on = false })
    -- Checks that pass bring an ejected one back.
    m:set("c", { status = 503, healthy = false })
    g:wait_log("endpoint.transition", { endpoint = m:url "c", to = "unhealthy" })
    m:set("c", {})
    wait.for_("c to be used again", function() return send(g, 12).c end)
    g:stop()
    m:kill()
  end)

  it("fail calls with no_endpoint when panic is off", function()
    local m = members.start(1)
    local g = start("endpoints = " .. list_of(m, "a") .. ", panic = 0, health = "
      .. "{ path = '/healthz', interval = '100ms', fall = 1 }")
    g:expect "endpoint.transition"
    m:set("a", { healthy = false })
    local r = wait.for_("calls to be refused", function()
      local r = g:get "/x"
      return r.status == 503 and r
    end)
    assert.equal("no_healthy_upstream", r.headers["x-weir-reason"] or "no_healthy_upstream")
    g:stop()
    m:kill()
  end)
end)

describe("endpoints set by a script", function()
  it("are those of all workers, live through reloads, and go with their declaration", function()
    local m = members.start(3)
    local script = [[
      weir.route("PUT /set", function(req)
        local list = weir.json.decode(req:text())
        local ok, err = up:set_endpoints(list)
        if not ok then return weir.response(400, err.message) end
        return weir.response(200, "ok")
      end)
    ]]
    local g = start("endpoints = " .. list_of(m, "a"), { script = script, workers = 2 })
    local function set(list)
      return g:request("PUT", "/set", {}, json.encode(list))
    end
    assert.same({ a = 6, failed = 0 }, send(g, 6))
    assert.equal(200, set({ m:url "b", { url = m:url "c", weight = 3 } }).status)
    local got = send(g, 40)
    assert.same({ nil, 0 }, { got.a, got.failed })
    assert.is_truthy(got.b and got.c)
    g:wait_log("upstream.endpoints", { upstream = "up", added = 2, removed = 1 })
    assert.equal("live", g:reload({ HEAD .. ('  local up = weir.upstream("up", { endpoints = %s '
      .. '})\n'):format(list_of(m, "a")) .. ROUTES .. script .. "-- changed" }).result)
    g:workers_live()
    got = send(g, 20)
    assert.same({ nil, 0 }, { got.a, got.failed })
    local r = set { "ftp://x" }
    assert.equal(400, r.status)
    assert.matches("'ftp://x' is not an endpoint URL", r.body)
    r = set { m:url "a", m:url "a" }
    assert.matches("listed twice", r.body)
    -- Another declaration replaces what was set.
    assert.equal("live", g:reload({ HEAD .. ('  local up = weir.upstream("up", { endpoints = %s '
      .. '})\n'):format(list_of(m, "ab")) .. ROUTES .. script }).result)
    g:workers_live()
    got = send(g, 30)
    assert.is_nil(got.c)
    assert.is_truthy(got.a and got.b)
    g:stop()
    m:kill()
  end)
end)

describe("what is known of endpoints", function()
  it("outlives every worker: who they are, and who is ejected", function()
    local m = members.start(3)
    local g = start("endpoints = " .. list_of(m, "a")
      .. ", outlier = { base = '1h', max = '1h' }", { script = [[
      weir.route("PUT /set", function(req)
        return up:set_endpoints(weir.json.decode(req:text())) and "ok" or weir.response(400)
      end)
    ]] })
    g:expect "endpoint.transition"
    g:expect "worker.exit"
    local list = json.encode { m:url "a", m:url "b", m:url "c" }
    assert.equal(200, g:request("PUT", "/set", {}, list).status)
    m:set("a", { status = 503 })
    wait.for_("a to be ejected", function()
      send(g, 5)
      return endpoint(g, m:url "a").ejected
    end)
    m:set("a", {})
    local pids = g:pids()
    for _, pid in ipairs(pids) do assert.equal(0, os.execute("kill -KILL " .. pid)) end
    wait.for_("other workers", function()
      for i, w in ipairs(g:status().workers) do
        if w.pid == 0 or w.pid == pids[i] then return false end
      end
      return true
    end)
    g:workers_live()
    assert.equal(3, #upstream(g).endpoints)
    assert.is_true(endpoint(g, m:url "a").ejected)
    local got = send(g, 30)
    assert.same({ 0, nil, true, true },
      { got.failed, got.a, (got.b or 0) > 0, (got.c or 0) > 0 })
    g:stop()
    m:kill()
  end)
end)

describe("endpoints found by DNS", function()
  it("are a name's addresses, looked up again when they are old, without a reload", function()
    local m = members.start(3)
    local z = zone.start { ["api.test"] = { a = { "127.0.0.1", "127.0.0.2" }, ttl = 1 } }
    local g = start(("dns = 'http://api.test:%s'"):format(m.port), { dns = z.servers })
    g:expect "script.log"
    local function letters()
      local got, text = send(g, 20), ""
      for letter in ("abc"):gmatch "." do
        if got[letter] then text = text .. letter end
      end
      return text, got.failed
    end
    wait.for_("a and b to serve", function() return letters() == "ab" end)
    z:set("api.test", { a = { "127.0.0.2", "127.0.0.3" }, ttl = 1 })
    wait.for_("b and c to serve", function() return letters() == "bc" end)
    -- What was found last stays while the servers fail, and when the name is gone.
    z:set("api.test", { rcode = "SERVFAIL" })
    local asked = z:queries "api.test"
    wait.for_("the servers to be asked again", function() return z:queries "api.test" > asked end)
    local text, failed = letters()
    assert.same({ "bc", 0 }, { text, failed })
    g:stop()
    z:kill()
    m:kill()
  end)

  it("are a name's SRV records, by weight, the lowest priority first", function()
    local m = members.start(3)
    local port = tonumber(m.port)
    local z = zone.start {
      ["_http._tcp.api.test"] = { ttl = 1, srv = {
        { 1, 3, port, "a.test" }, { 1, 1, port, "b.test" }, { 2, 1, port, "c.test" } } },
      ["a.test"] = { a = { "127.0.0.1" }, ttl = 60 },
      ["b.test"] = { a = { "127.0.0.2" }, ttl = 60 },
      ["c.test"] = { a = { "127.0.0.3" }, ttl = 60 },
    }
    local g = start("srv = 'http://_http._tcp.api.test', balance = 'round_robin'",
      { dns = z.servers, workers = 1 })
    assert.same({ a = 6, b = 2, failed = 0 }, send(g, 8))
    z:set("_http._tcp.api.test", { ttl = 1, srv = { { 5, 0, port, "c.test" } } })
    wait.for_("c to serve", function() return send(g, 2).c == 2 end)
    g:stop()
    z:kill()
    m:kill()
  end)
end)

describe("endpoints in a file", function()
  it("are read again when it changes, and stay when it is bad", function()
    local m = members.start(3)
    local path = os.tmpname()
    local function write(text)
      local file = assert(io.open(path .. ".new", "w"))
      file:write(text)
      file:close()
      assert(os.rename(path .. ".new", path))
    end
    write("# who serves\n" .. m:url "a" .. "\n")
    local g = start(("file = %q"):format(path))
    g:expect "script.log"
    assert.same({ a = 6, failed = 0 }, send(g, 6))
    write(m:url "b" .. " weight=2\n" .. m:url "c" .. "\n")
    wait.for_("b and c to serve", function()
      local got = send(g, 20)
      return got.b and got.c and not got.a
    end)
    write(json.encode { m:url "a", { url = m:url "c", weight = 2 } })
    wait.for_("a and c to serve", function()
      local got = send(g, 20)
      return got.a and got.c and not got.b
    end)
    write "ftp://nowhere\n"
    wait.for_("it to be told", function()
      return g.process:stdout():find("endpoints cannot be found", 1, true)
        or g.process:stderr():find("endpoints cannot be found", 1, true)
    end)
    local got = send(g, 20)
    assert.same({ 0, nil }, { got.failed, got.b })
    g:stop()
    os.remove(path)
    m:kill()
  end)

  it("must be there when the policy loads", function()
    local code, err = gateway.fail_to_start { HEAD
      .. '  weir.upstream("up", { file = "/nowhere/endpoints" })' }
    assert.equal(78, code)
    assert.matches("main.lua:3", err)
    assert.matches("/nowhere/endpoints: No such file", err)
  end)
end)
