local certificates = require "spec.support.certificates"
local collector = require "spec.support.collector"
local gateway = require "spec.support.gateway"
local ports = require "spec.support.ports"
local wait = require "spec.support.wait"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("/*path", function(req) return req.trace_id or "none" end)
]]

describe("exporting by OTLP", function()
  local c, g

  setup(function() c = collector.start() end)
  teardown(function() c:kill() end)

  local function start(env, options)
    env.OTEL_METRICS_EXPORTER, env.OTEL_LOGS_EXPORTER = "none", "none"
    g = gateway.start { workers = 1, env = c:env(env), SCRIPT,
      ca_file = options and options.ca_file }
    g:expect "telemetry.failing"
  end

  after_each(function()
    if g then g:stop() end
    g = nil
  end)

  local function has(id)
    return function(span) return span.traceId == id end
  end

  local function dropped(reason)
    return g:metric("weir_telemetry_dropped_total", ('signal="traces",reason="%s"'):format(reason))
      or 0
  end

  local function wait_dropped(reason, count)
    wait.for_(count .. " dropped: " .. reason, function() return dropped(reason) >= count end)
  end

  for _, status in ipairs { 429, 502, 503, 504 } do
    it("is tried again after " .. status, function()
      start {}
      c:answer { { status = status } }
      local id = g:get("/again" .. status).body
      c:wait("traces", has(id))
      assert.equal(0, dropped "rejected")
      assert.matches(tostring(status), g:wait_log("telemetry.failing").message)
      g:wait_log "telemetry.back"
      wait.for_("a span sent", function()
        return g:metric("weir_telemetry_sent_total", 'signal="traces"') == 1
      end)
    end)
  end

  it("waits as Retry-After says", function()
    start {}
    c:answer { { status = 503, after = 3 } }
    local from = wait.now()
    c:wait("traces", has(g:get("/after").body))
    assert.is_true(wait.now() - from >= 3)
  end)

  it("is not tried again after another status: that is counted", function()
    start {}
    c:answer { { status = 400 } }
    g:get "/rejected"
    wait_dropped("rejected", 1)
    c:wait("traces", has(g:get("/next").body))
  end)

  for _, form in ipairs { "protobuf", "json" } do
    it("counts what a collector rejects of what it takes, in " .. form, function()
      start { OTEL_EXPORTER_OTLP_PROTOCOL = "http/" .. form, OTEL_BSP_SCHEDULE_DELAY = "60000",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE = "3" }
      c:answer { { partial = { rejectedSpans = "2", errorMessage = "no" } } }
      for i = 1, 3 do g:get("/partial/" .. i) end
      wait_dropped("rejected", 2)
      assert.equal(2, dropped "rejected")
      assert.equal(1, (g:metric("weir_telemetry_sent_total", 'signal="traces"')))
    end)
  end

  it("takes no longer than OTEL_EXPORTER_OTLP_TIMEOUT, and begins anew", function()
    start { OTEL_EXPORTER_OTLP_TIMEOUT = "100" }
    c:answer { { hang = true } }
    c:wait("traces", has(g:get("/hang").body))
  end)

  it("puts spans together up to OTEL_BSP_MAX_EXPORT_BATCH_SIZE", function()
    start { OTEL_BSP_SCHEDULE_DELAY = "60000", OTEL_BSP_MAX_EXPORT_BATCH_SIZE = "3" }
    local before = #c:seen "traces"
    local last
    for i = 1, 6 do last = g:get("/batch/" .. i).body end
    c:wait("traces", has(last))
    local seen = c:seen "traces"
    assert.equal(before + 2, #seen)
    assert.equal(3, #seen[#seen].body.resourceSpans[1].scopeSpans[1].spans)
  end)

  it("goes to a collector over TLS that the roots of --ca-file vouch for", function()
    local files = certificates.new()
    local ca = files:authority "root"
    local secure = collector.start(files:make("c", { san = "IP:127.0.0.1", by = ca }))
    local env = { OTEL_EXPORTER_OTLP_ENDPOINT = "https://127.0.0.1:" .. secure.tls_port }
    start(env, { ca_file = ca.cert })
    secure:wait("traces", has(g:get("/secure").body))
    g:stop()
    start(env)
    g:get "/unknown"
    g:wait_log "telemetry.failing"
    secure:kill()
    files:remove()
  end)

  it("shows its certificate, and trusts the authority, that the environment names", function()
    local files = certificates.new()
    local ca = files:authority "root"
    local secure = collector.start(files:make("c", { san = "IP:127.0.0.1", by = ca }), ca)
    local client = files:make("weir", { by = ca })
    local env = { OTEL_EXPORTER_OTLP_ENDPOINT = "https://127.0.0.1:" .. secure.tls_port,
      OTEL_EXPORTER_OTLP_CERTIFICATE = ca.cert }
    start(env)
    g:get "/unshown"
    g:wait_log "telemetry.failing"
    g:stop()
    env.OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE = client.cert
    env.OTEL_EXPORTER_OTLP_CLIENT_KEY = client.key
    start(env)
    secure:wait("traces", has(g:get("/shown").body))
    assert.same({}, g:log "telemetry.failing")
    secure:kill()
    files:remove()
  end)

  it("leaves in time although the collector does not answer", function()
    start { OTEL_EXPORTER_OTLP_TIMEOUT = "1000000" }
    local seen = #c:seen "traces"
    c:answer { { hang = true } }
    g:get "/hung"
    wait.for_("the export", function() return #c:seen "traces" > seen end)
    g:stop() -- which waits for 40 s, not for a quarter of an hour
    g = nil
  end)

  it("counts what a worker had not sent when it died", function()
    start { OTEL_BSP_SCHEDULE_DELAY = "60000" }
    g:expect "worker.exit"
    for i = 1, 3 do
      g:get("/lost/" .. i)
      g:wait_log("access", { path = "/lost/" .. i }) -- the client may have its answer before that
    end
    os.execute("kill -9 " .. g:pids()[1])
    wait_dropped("worker_died", 3)
    g:workers_live()
    assert.equal(3, dropped "worker_died")
  end)

  it("sends what it has when it stops", function()
    start { OTEL_BSP_SCHEDULE_DELAY = "60000" }
    local id = g:get("/last").body
    g:stop()
    g = nil
    c:wait("traces", has(id))
  end)

  it("keeps no more than OTEL_BSP_MAX_QUEUE_SIZE for a collector that does not answer", function()
    start { OTEL_BSP_MAX_QUEUE_SIZE = "4", OTEL_BSP_MAX_EXPORT_BATCH_SIZE = "2" }
    c:answer { { hang = true } }
    for i = 1, 10 do assert.equal(200, g:get("/full/" .. i).status) end
    wait_dropped("queue_full", 6)
    assert.equal(6, dropped "queue_full")
  end)

  it("costs no request when no collector is there, and ends in time", function()
    start { OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:" .. ports.free() }
    for i = 1, 50 do assert.equal(200, g:get("/dead/" .. i).status) end
    g:wait_log "telemetry.failing"
    assert.equal(1, #g:log "telemetry.failing", "told once")
  end)
end)

describe("a variable of OTLP that makes no sense", function()
  it("is told of at the start, and nothing stays down for it", function()
    local g = gateway.start { workers = 1, SCRIPT,
      env = { OTEL_EXPORTER_OTLP_ENDPOINT = "collector:4317", OTEL_SERVICE_NAME = "x" } }
    g:expect "telemetry.variable"
    local line = g:wait_log "telemetry.variable"
    assert.equal("OTEL_EXPORTER_OTLP_ENDPOINT", line.variable)
    assert.matches("'collector:4317' is no endpoint", line.message)
    assert.equal(200, g:get("/").status)
    g:stop()
  end)
end)
