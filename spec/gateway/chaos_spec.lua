-- Experiments as clients and operators see them.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local origin = require "spec.support.origin"
local wait = require "spec.support.wait"

describe("chaos", function()
  local g, o

  setup(function()
    o = origin.start()
    local body = origin.target { origin.answer("200 OK", ("x"):rep(3000)) }
    g = gateway.start { workers = 2, origin = o.port, allow_chaos = true, body = body, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
      local function drill(name, options)
        options.expires, options.probability = "10m", options.probability or 1
        if options.guard == nil then options.guard = false end
        local chaos = weir.chaos(options)
        local guarded = weir.policy(name, { weir.deadline "5s", chaos })
        weir.route("GET /" .. name, function(req)
          return guarded(function() return up:forward(req, { path = "$(body)" }) end)
        end)
        return chaos
      end
      drill("status", { status = 418 })
      drill("error", { error = "connect" })
      drill("reset", { reset = true })
      for kind, options in pairs {
        error = { error = "timeout" }, status = { status = 503 }, reset = { reset = true } } do
        options.expires, options.guard = "10m", false
        options.name = "retried " .. kind
        options.probability = 0.5
        local retried = weir.policy("retried " .. kind, {
          weir.retry { max = 20, backoff = "1ms..1ms", budget = false }, weir.chaos(options) })
        weir.route("/retried/" .. kind, function(req)
          return retried(function() return up:forward(req, { path = "/ok" }) end)
        end)
      end
      local beyond = weir.policy("beyond", { weir.chaos { expires = "10m", probability = 1,
        truncate = "1MB", guard = false } })
      weir.route("/beyond", function(req)
        return beyond(function() return up:forward(req, { path = req.headers["X-Body"] }) end)
      end)
      drill("hangup", { hangup = true, guard = { failure_rate = 0.5, min_calls = 5 } })
      drill("truncate", { truncate = "1000B" })
      drill("nothing", { truncate = 0 })
      drill("drip", { drip = "20KiB" })
      drill("late", { latency = "120ms" })
      drill("too-late", { latency = "1h" })
      drill("some", { status = 500, probability = 0.5 })
      drill("matched", { status = 500,
        match = function(req) return req.headers["x-drill"] == "yes" end })
      drill("guarded", { status = 500, guard = { failure_rate = 0.5, min_calls = 10 } })
      local own = drill("own", { status = 500 })
      weir.route("POST /own/:verb", function(req)
        if req.params.verb == "apply" then
          local ok, err = own:apply "1m"
          return weir.json(200, { ok = ok, armed = own:is_armed(), err = err and err.message })
        end
        return weir.json(200, { ok = own:rollback(), armed = own:is_armed() })
      end)
    ]] }
    g:expect "admin.action"
    g:expect "chaos.transition"
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local function apply(name, time)
    local value = time and "&value=" .. time or ""
    return g:ask("POST", "/chaos/apply?name=" .. name .. value)
  end
  local function experiment(name)
    for _, one in ipairs(json.decode(g:ask("GET", "/chaos").body)) do
      if one.name == name then return one end
    end
  end

  it("never lets a cut body look complete, however short it is", function()
    apply "beyond"
    local bodies = { origin.answer("200 OK", "0123456789"),
      "send:HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" }
    for _, body in ipairs(bodies) do
      local client = g:begin("GET", "/beyond", { ["X-Body"] = origin.target { body } })
      local head = client:head()
      assert.equal(200, head.status)
      local rest = client:read_all()
      if head.headers["content-length"] then
        assert.is_true(#rest < tonumber(head.headers["content-length"]))
      else
        assert.is_nil(rest:find("0\r\n\r\n", 1, true))
      end
    end
  end)

  it("resets the client's connection, and the guard counts that", function()
    apply "hangup"
    local before = o:counts().methods.GET or 0
    for _ = 1, 5 do
      local client = g:begin("GET", "/hangup")
      local bytes, how = client:read_all()
      assert.equal("", bytes)
      assert.equal("reset", how)
    end
    assert.equal(before, o:counts().methods.GET or 0)
    g:wait_log("chaos.transition", { name = "hangup", cause = "guard" })
    assert.equal(200, g:get("/hangup").status)
  end)

  it("injects faults that are repeated like the real ones", function()
    for _, kind in ipairs { "error", "status", "reset" } do
      apply("retried%20" .. kind)
      local bad = 0
      for i = 1, 12 do
        local headers = { ["X-Request-ID"] = "retried-" .. i }
        assert.equal(200, g:get("/retried/" .. kind, headers).status)
        local r = g:request("POST", "/retried/" .. kind, headers, "body")
        if r.status ~= 200 then bad = bad + 1 end
      end
      assert.is_true(bad > 0, "a POST is not repeated")
    end
  end)

  it("does nothing until it is applied, and nothing after it was rolled back", function()
    assert.equal(200, g:get("/status").status)
    assert.equal(200, apply("status").status)
    assert.is_true(experiment("status").armed)
    for _ = 1, 10 do assert.equal(418, g:get("/status").status) end -- in both workers
    assert.equal(200, g:ask("POST", "/chaos/rollback?name=status").status)
    for _ = 1, 10 do assert.equal(200, g:get("/status").status) end
    assert.equal("rolled_back", experiment("status").cause)
    assert.equal(409, g:ask("POST", "/chaos/rollback?name=status").status)
  end)

  it("fails calls with an error kind, or after they were made", function()
    apply "error"
    local r = g:get "/error"
    assert.equal(502, r.status)
    assert.matches("connect", r.body)
    local before = o:counts().methods.GET or 0
    apply "reset"
    assert.equal(502, g:get("/reset").status)
    assert.is_true(o:counts().methods.GET > before)
  end)

  it("cuts a body so that nobody takes it for whole", function()
    for name, length in pairs { truncate = 1000, nothing = 0 } do
      apply(name)
      local ok, message = pcall(g.get, g, "/" .. name)
      assert.is_false(ok)
      assert.matches(("wanted 3000 bytes: closed; %d bytes seen"):format(length), message)
    end
  end)

  it("delivers a dripping body whole, in more than one piece", function()
    apply "drip"
    local started = require("socket").gettime()
    local r = g:get "/drip"
    assert.equal(3000, #r.body)
    -- 3000 bytes at 20 kB/s cannot be there sooner: a bound from below, not a margin.
    assert.is_true(require("socket").gettime() - started >= 0.13)
  end)

  it("delays calls, inside the deadline", function()
    apply "late"
    local started = require("socket").gettime()
    assert.equal(200, g:get("/late").status)
    assert.is_true(require("socket").gettime() - started >= 0.119)
    apply "too-late"
    assert.equal(504, g:get("/too-late").status)
  end)

  it("hits the same requests every time", function()
    apply "some"
    local hit = {}
    for round = 1, 2 do
      for i = 1, 40 do
        local status = g:get("/some", { ["X-Request-ID"] = "request-" .. i }).status
        if round == 1 then hit[i] = status else assert.equal(hit[i], status) end
      end
    end
    local count = 0
    for i = 1, 40 do count = count + (hit[i] == 500 and 1 or 0) end
    assert.is_true(count > 8 and count < 32, count .. " of 40")
  end)

  it("hits only what matches", function()
    apply "matched"
    assert.equal(200, g:get("/matched").status)
    assert.equal(500, g:get("/matched", { ["X-Drill"] = "yes" }).status)
  end)

  it("is ended by its guard when clients see too many failures", function()
    apply "guarded"
    wait.for_("the guard", function()
      g:get "/guarded"
      return experiment("guarded").cause == "guard"
    end)
    assert.equal(200, g:get("/guarded").status)
    assert.is_true(experiment("guarded").injected >= 10)
    g:wait_log("chaos.transition", { name = "guarded", cause = "guard" })
  end)

  it("tells when its time is over, asked or not", function()
    apply("matched", "1s")
    g:wait_log("chaos.transition", { name = "matched", cause = "expired" })
    assert.equal("expired", experiment("matched").cause)
    apply "matched"
  end)

  it("is applied and rolled back from Lua", function()
    local answer = json.decode(g:request("POST", "/own/apply").body)
    assert.same({ ok = true, armed = true }, answer)
    assert.equal(500, g:get("/own").status)
    assert.same({ ok = true, armed = false }, json.decode(g:request("POST", "/own/x").body))
    assert.equal(200, g:get("/own").status)
  end)

  it("refuses a time that is too long or is none", function()
    local r = apply("status", "11m")
    assert.equal(400, r.status)
    assert.matches("660 s is too long", r.body)
    assert.equal(400, apply("status", "soon").status)
    assert.equal(404, apply("nix").status)
  end)

  it("shows what it does in metrics", function()
    assert.equal(1, g:metric("weir_chaos_armed", 'name="matched"'))
    assert.equal(0, g:metric("weir_chaos_armed", 'name="status"'))
    assert.is_true(g:metric("weir_chaos_calls_total", 'name="status"', 'kind="injected"') >= 10)
  end)
end)

describe("chaos without --allow-chaos", function()
  it("loads, and cannot be applied", function()
    local g = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local drill = weir.chaos { expires = "1m", probability = 1, status = 500 }
      local guarded = weir.policy("x", { drill })
      weir.route("GET /x", function() return guarded(function() return "fine" end) end)
      weir.route("POST /apply", function() return drill:apply() and "applied" end)
    ]] }
    local r = g:ask("POST", "/chaos/apply?name=x")
    assert.equal(409, r.status)
    assert.matches("%-%-allow%-chaos", r.body)
    assert.equal(200, g:get("/x").status)
    g:stop()
  end)
end)

describe("a chaos layer", function()
  it("ends a call in one way only", function()
    local code, err = gateway.fail_to_start { [[
      local weir = require "weir" weir.listen "127.0.0.1:$(port)"
      weir.chaos { expires = "1m", error = "reset", status = 500 }]] }
    assert.equal(78, code)
    assert.matches("main.lua:2: chaos: give error or status, not both", err)
  end)
end)
