local collector = require "spec.support.collector"
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
local CALLER = "00f067aa0ba902b7"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen("127.0.0.1:$(port)", { trusted_proxies = { $(trusted) } })
  local up = weir.upstream("origin", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local guarded = weir.policy("guarded", { weir.deadline "30s",
    weir.retry { max = 2, backoff = "2ms", jitter = "none" }, weir.breaker { min_calls = 50 },
    weir.timeout "20s" })
  local late = weir.policy("late", { weir.timeout "20ms" })
  weir.route("GET /late/:name", function(req)
    return late(function() return up:forward(req, { path = "/plan/" .. req.params.name }) end)
  end)
  local narrow = weir.policy("narrow", { weir.bulkhead { max = 1, queue = 1, wait = "10s" } })
  local closed = weir.policy("closed", { weir.limiter { rate = 1, burst = 1 } })
  local hedged = weir.policy("hedged", { weir.hedge { delay = "5ms" } })
  weir.route("GET /plan/:name", function(req) return up:forward(req) end)
  weir.route("GET /guarded/:name", function(req)
    return guarded(function() return up:forward(req, { path = "/plan/" .. req.params.name }) end)
  end)
  weir.route("GET /narrow/:name", function(req)
    return narrow(function() return up:forward(req, { path = "/plan/" .. req.params.name }) end)
  end)
  weir.route("GET /closed", function(req)
    closed(function() return weir.response(200) end)
    return closed(function() return weir.response(200) end)
  end)
  weir.route("GET /hedged/:name", function(req)
    return hedged(function() return up:forward(req, { path = "/plan/" .. req.params.name }) end)
  end)
  local store = weir.http_cache("store", { stale_while_revalidate = "10m" })
  weir.route("GET /cached/:name", function(req)
    return store:serve(req, function()
      return up:forward(req, { path = "/plan/" .. req.params.name })
    end)
  end)
  weir.route("GET /own/:name", function(req)
    return up:request { path = "/plan/" .. req.params.name }
  end)
  weir.route("GET /log", function(req)
    weir.log.info "asked"
    return req.trace_id
  end)
  weir.route("GET /raise", function() error "no" end)
]]

local function parent(flags)
  return "00-" .. TRACE .. "-" .. CALLER .. "-" .. (flags or "01")
end

-- The values of one field in a head.
local function fields(head, name)
  local out = {}
  for field, value in head:gmatch "\r\n([^:\r]+): ?([^\r]*)" do
    if field:lower() == name then out[#out + 1] = value end
  end
  return out
end

local function is_server(span) return span.kind == 2 end

describe("traces over OTLP", function()
  local o, c, g

  setup(function()
    o, c = origin.start(), collector.start()
  end)

  teardown(function()
    o:kill()
    c:kill()
  end)

  local function start(env, options)
    options = options or {}
    g = gateway.start { workers = 1, origin = o.port, env = c:env(env), SCRIPT,
      trusted = options.trusted and '"127.0.0.0/8"' or "" }
    g:expect "script.error"
  end

  after_each(function()
    if g then g:stop() end
    g = nil
  end)

  local function ask(path, headers)
    local name = path:match "^/%w+/(%w+)"
    if name then o:plan(name, { origin.answer("200 OK", "x") }) end
    local r = g:get(path, headers)
    return name and o:seen(name)[1], r
  end

  -- The server span of the request for a path.
  local function span_of(path)
    return c:wait("traces", function(span)
      return is_server(span) and span.attributes["url.path"] == path
    end)
  end

  for _, form in ipairs {
    { "protobuf", {} },
    { "JSON", { OTEL_EXPORTER_OTLP_PROTOCOL = "http/json" } },
    { "protobuf with gzip", { OTEL_EXPORTER_OTLP_TRACES_COMPRESSION = "gzip" } },
    { "JSON with gzip", { OTEL_EXPORTER_OTLP_TRACES_PROTOCOL = "http/json",
      OTEL_EXPORTER_OTLP_COMPRESSION = "gzip" } },
  } do
    local name = "form" .. form[1]:gsub("%W", "")
    it("has a request as a span, in " .. form[1], function()
      form[2].OTEL_SERVICE_NAME = "shop"
      form[2].OTEL_RESOURCE_ATTRIBUTES = "deployment.environment=test%20bed,service.name=other"
      form[2].OTEL_EXPORTER_OTLP_HEADERS = "x-tenant=a%20b,authorization=Bearer%20c"
      start(form[2], { trusted = true })
      ask("/plan/" .. name, { Traceparent = parent(), Tracestate = "a=1",
        ["User-Agent"] = "s\200c", Host = "shop.example:8080" })
      local span = span_of("/plan/" .. name)
      assert.equal(TRACE, span.traceId)
      assert.equal(CALLER, span.parentSpanId)
      assert.equal(16, #span.spanId)
      assert.equal("a=1", span.traceState)
      assert.equal(0x301, span.flags)
      assert.equal("GET /plan/:name", span.name)
      local took = tonumber(span.endTimeUnixNano) - tonumber(span.startTimeUnixNano)
      assert.is_true(took >= 0 and took < 60e9)
      assert.is_true(math.abs(tonumber(span.endTimeUnixNano) / 1e9 - os.time()) < 60)
      local a = span.attributes
      assert.equal("GET", a["http.request.method"])
      assert.equal("/plan/:name", a["http.route"])
      assert.equal(200, a["http.response.status_code"])
      assert.equal("http", a["url.scheme"])
      assert.equal("shop.example", a["server.address"])
      assert.equal(8080, a["server.port"])
      assert.equal("127.0.0.1", a["client.address"])
      assert.equal("1.1", a["network.protocol.version"])
      assert.equal("s\u{fffd}c", a["user_agent.original"])
      assert.equal("ok", a["weir.why"])
      assert.is_nil(a["error.type"])
      assert.equal("shop", span.resource["service.name"])
      assert.equal("test bed", span.resource["deployment.environment"])
      assert.equal(16, #span.resource["service.instance.id"])
      local seen = c:seen "traces"
      local headers = seen[#seen].headers
      assert.equal("a b", headers["x-tenant"])
      assert.equal("Bearer c", headers.authorization)
    end)
  end

  it("names each attempt upstream by a span of its own in the same trace", function()
    start()
    local head = ask("/plan/own1", { Traceparent = parent(), Tracestate = "a=1 ,b=2" })
    local version, trace, span, flags = fields(head, "traceparent")[1]:match
      "^(%x%x)%-(%x+)%-(%x+)%-(%x%x)$"
    assert.same({ "00", TRACE, "01" }, { version, trace, flags })
    assert.are_not.equal(CALLER, span)
    assert.are_not.equal(span_of("/plan/own1").spanId, span)
    assert.same({ "a=1,b=2" }, fields(head, "tracestate"))
    local own = fields(ask("/own/own2", { Traceparent = parent() }), "traceparent")
    assert.equal(TRACE, own[1]:sub(4, 35))
  end)

  it("starts a trace for a request without a valid one", function()
    start()
    local head = ask("/plan/new", { Traceparent = "00-x", Tracestate = "a=1" })
    local span = span_of("/plan/new")
    assert.equal("00-" .. span.traceId, fields(head, "traceparent")[1]:sub(1, 35))
    assert.equal("03", fields(head, "traceparent")[1]:sub(-2), "sampled, and chosen at random")
    assert.same({}, fields(head, "tracestate"))
    assert.is_nil(span.parentSpanId)
    local _, r = ask "/log"
    assert.equal(32, #r.body)
    local line = g:wait_log("script.log", { trace_id = r.body })
    assert.equal(span_of("/log").spanId, line.span_id)
    assert.equal(line.span_id, g:wait_log("access", { trace_id = r.body }).span_id)
  end)

  -- The spans below the one of a request, in the order of their beginning.
  local function below(span)
    local out = {}
    for _, other in ipairs(c:records "traces") do
      if other.parentSpanId == span.spanId then out[#out + 1] = other end
    end
    table.sort(out, function(a, b) return a.startTimeUnixNano < b.startTimeUnixNano end)
    return out
  end

  -- The one span inside of another.
  local function only(span, name, result)
    local one, more = unpack(below(span))
    assert.is_nil(more and more.name)
    assert.equal(name, one.name)
    if result then assert.equal(result, one.attributes["weir.result"]) end
    return one
  end

  it("tells which layer of time was over", function()
    start {}
    o:plan("slow", { { "until:never", "close" } })
    assert.equal(504, g:get("/late/slow", { ["X-Request-ID"] = "late" }).status)
    local timeout = only(span_of "/late/slow", "timeout late", "expired")
    assert.equal("20ms", timeout.attributes["weir.limit"])
    only(timeout, "GET origin", "timeout")
    local explain = process.spawn { process.program "weir", "explain", "--admin", g.admin, "late" }
    assert.equal(0, explain:wait(), explain:stderr())
    assert.matches("timeout +late 20ms: expired", explain:stdout())
  end)

  it("tells what an attempt asked for, without its query", function()
    start {}
    o:plan("secret", { origin.answer("200 OK", "x") })
    assert.equal(200, g:get("/plan/secret?token=hidden").status)
    local attempt = below(span_of "/plan/secret")[1]
    assert.equal(("http://127.0.0.1:%s/plan/secret"):format(o.port), attempt.attributes["url.full"])
    assert.equal("GET /plan/secret?token=hidden HTTP/1.1", o:seen("secret")[1]:match "^[^\r]+")
  end)

  it("has layers, each attempt inside as a client's span, with the id that was told", function()
    start {}
    o:plan("twice", { origin.answer("503 No", "x"), origin.answer("200 OK", "x") })
    assert.equal(200, g:get("/guarded/twice").status)
    local span = span_of "/guarded/twice"
    local deadline = only(span, "deadline guarded", "entered")
    assert.equal("30s", deadline.attributes["weir.limit"])
    local retry = only(deadline, "retry guarded", "entered")
    local outer, pause, again, more = unpack(below(retry))
    assert.is_nil(more and more.name)
    local attempts = {}
    for i, layer in ipairs { outer, again } do
      assert.equal(1, layer.kind)
      assert.equal("breaker guarded", layer.name)
      assert.equal("guarded", layer.attributes["weir.policy"])
      assert.equal("admitted", layer.attributes["weir.result"])
      local timeout = only(layer, "timeout guarded", "entered")
      assert.equal("20s", timeout.attributes["weir.limit"])
      attempts[i] = only(timeout, "GET origin", nil)
    end
    local first, second = unpack(attempts)
    assert.is_true(outer.endTimeUnixNano >= first.endTimeUnixNano)
    local heads = o:seen "twice"
    for i, attempt in ipairs { first, second } do
      assert.equal(3, attempt.kind)
      assert.equal("GET origin", attempt.name)
      assert.equal(span.traceId, attempt.traceId)
      assert.equal(attempt.spanId, fields(heads[i], "traceparent")[1]:sub(37, 52))
      assert.equal("127.0.0.1", attempt.attributes["server.address"])
      assert.equal(o.port, tostring(attempt.attributes["server.port"]))
      assert.equal("GET", attempt.attributes["http.request.method"])
      assert.equal(("http://127.0.0.1:%s/plan/twice"):format(o.port),
        attempt.attributes["url.full"])
    end
    assert.equal(503, first.attributes["http.response.status_code"])
    assert.equal("503", first.attributes["error.type"])
    assert.equal(2, first.status.code)
    assert.is_nil(first.attributes["http.request.resend_count"])
    assert.equal(200, second.attributes["http.response.status_code"])
    assert.equal(1, second.attributes["http.request.resend_count"])
    assert.is_nil(second.status)
    assert.equal(1, pause.kind)
    assert.equal("retry guarded", pause.name)
    assert.equal("retry", pause.attributes["weir.result"])
    local waited = tonumber(pause.endTimeUnixNano) - tonumber(pause.startTimeUnixNano)
    assert.is_true(waited >= 1.9e6, waited)
    assert.equal("ok_retry", span.attributes["weir.why"])
  end)

  it("has an attempt that failed, with its error", function()
    start {}
    o:plan("gone", { { "close" }, { "close" }, { "close" } })
    g:get "/guarded/gone"
    local span = span_of "/guarded/gone"
    local retry = only(only(span, "deadline guarded"), "retry guarded")
    local first = only(only(below(retry)[1], "timeout guarded"), "GET origin")
    assert.equal(3, first.kind)
    assert.equal(2, first.status.code)
    assert.equal(first.attributes["weir.result"], first.attributes["error.type"])
    assert.is_nil(first.attributes["http.response.status_code"])
    assert.equal(2, span.status.code)
  end)

  it("tells how long a layer's queue was waited in", function()
    start {}
    local answer = origin.answer("200 OK", "x")
    o:plan("queue", { { "until:free", answer }, answer })
    local one = g:begin("GET", "/narrow/queue", {}, nil)
    wait.for_("the first call upstream", function() return #o:seen "queue" == 1 end)
    local two = g:begin("GET", "/narrow/queue?two", {}, nil)
    wait.for_("the second call in the queue", function()
      return g:metric("weir_bulkhead_queue_depth", 'name="narrow"') == 1
    end)
    o:release "free"
    assert.equal(200, one:response().status)
    assert.equal(200, two:response().status)
    local queued = c:wait("traces", function(s)
      return s.name == "bulkhead narrow" and s.attributes["weir.waited_us"]
    end)
    assert.equal(1, queued.kind)
    assert.equal("admitted", queued.attributes["weir.result"])
    assert.is_true(queued.endTimeUnixNano > queued.startTimeUnixNano)
  end)

  it("has a refusal as an event", function()
    start {}
    assert.equal(429, g:get("/closed").status)
    local span = span_of "/closed"
    assert.is_nil(span.status, "the client asked too often: no error of ours")
    local events = {}
    for i, event in ipairs(span.events) do
      events[i] = event.name .. " " .. collector.attributes(event.attributes)["weir.result"]
    end
    assert.same({ "weir.limiter admitted", "weir.limiter rate_limited" }, events)
  end)

  it("has both attempts of a hedge, and the one that lost is no error", function()
    start {}
    o:plan("hedge", { { "until:never", "close" }, origin.answer("200 OK", "x") })
    assert.equal(200, g:get("/hedged/hedge").status)
    local attempts = {}
    for _, span in ipairs(below(span_of "/hedged/hedge")) do
      if span.kind == 3 then attempts[#attempts + 1] = span end
    end
    assert.equal(2, #attempts)
    assert.equal("cancelled", attempts[1].attributes["weir.result"])
    assert.is_nil(attempts[1].status)
    assert.equal(200, attempts[2].attributes["http.response.status_code"])
    o:release "never"
  end)

  it("goes on in a refresh behind the client's back, below the request's span", function()
    start {}
    local fields_of_stale = "Cache-Control: max-age=60\r\nAge: 100\r\n"
    o:plan("refresh", { origin.answer("200 OK", "old", fields_of_stale),
      origin.answer("200 OK", "new", fields_of_stale) })
    g:get "/cached/refresh"
    local second = g:get "/cached/refresh"
    assert.equal("old", second.body)
    wait.for_("the refresh", function() return #o:seen "refresh" == 2 end)
    local told = fields(o:seen "refresh" [2], "traceparent")[1]
    c:wait("traces", function(span)
      return is_server(span) and span.traceId == told:sub(4, 35) and span.spanId == told:sub(37, 52)
    end)
    g:wait_idle()
  end)

  it("keeps to a trusted caller's decision, and to its own for others", function()
    start({ OTEL_TRACES_SAMPLER = "parentbased_always_off" }, { trusted = true })
    ask("/plan/believed", { Traceparent = parent "01" })
    ask("/plan/unwanted", { Traceparent = parent "00" })
    ask("/plan/last", { Traceparent = parent "01" })
    span_of("/plan/believed")
    span_of("/plan/last")
    for _, span in ipairs(c:records "traces") do
      assert.are_not.equal("/plan/unwanted", span.attributes["url.path"])
    end
    g:stop()
    start({ OTEL_TRACES_SAMPLER = "parentbased_always_on" })
    local head = ask("/plan/stranger", { Traceparent = parent "00" })
    assert.equal("01", fields(head, "traceparent")[1]:sub(-2))
    span_of("/plan/stranger")
  end)

  it("keeps what failed although it was not chosen, and tells upstreams that it is not", function()
    start { OTEL_TRACES_SAMPLER = "traceidratio", OTEL_TRACES_SAMPLER_ARG = "0" }
    local head = ask("/plan/fine", { Traceparent = parent "01" })
    assert.equal("00", fields(head, "traceparent")[1]:sub(-2))
    o:plan("bad", { origin.answer("503 No", "x") })
    g:get "/plan/bad"
    g:get "/raise"
    local bad, raised = span_of("/plan/bad"), span_of("/raise")
    assert.equal(2, bad.status.code)
    assert.equal("503", bad.attributes["error.type"])
    assert.equal("failed", bad.attributes["weir.kept"])
    assert.equal("script", raised.attributes["error.type"])
    for _, span in ipairs(c:records "traces") do
      assert.are_not.equal("/plan/fine", span.attributes["url.path"])
    end
  end)

  it("keeps nothing with always_off", function()
    start { OTEL_TRACES_SAMPLER = "always_off" }
    local before = #c:seen()
    g:get "/raise"
    g:stop()
    g = nil
    for i, export in ipairs(c:seen()) do
      assert.is_true(i <= before or export.signal ~= "traces")
    end
  end)
end)
