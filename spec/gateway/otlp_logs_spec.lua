local collector = require "spec.support.collector"
local gateway = require "spec.support.gateway"
local wait = require "spec.support.wait"

describe("log lines over OTLP", function()
  local c, g

  setup(function() c = collector.start() end)
  teardown(function() c:kill() end)

  local function start(env)
    env.OTEL_METRICS_EXPORTER = "none"
    g = gateway.start { workers = 2, env = c:env(env), [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /said/:what", function(req)
        weir.log.warn("it is\nsaid", { what = req.params.what, share = 0.5, count = 3, yes = true })
        return req.trace_id or "none"
      end)
      weir.route("GET /flood", function()
        for i = 1, 2000 do weir.log.info("flood", { text = ("x"):rep(400) }) end
        return "flooded"
      end)
      weir.route("GET /raise", function() error "no" end)
    ]] }
    g:expect "script.error"
    g:expect "script.log"
  end

  after_each(function()
    g:stop()
    g = nil
  end)

  for _, form in ipairs { "protobuf", "json" } do
    it("are records with body, severity, trace and attributes, in " .. form, function()
      start { OTEL_EXPORTER_OTLP_PROTOCOL = "http/" .. form }
      local trace = g:get("/said/" .. form).body
      local record = c:wait("logs", function(r) return r.attributes.what == form end)
      assert.equal("it is\nsaid", record.body.stringValue)
      assert.equal("script.log", record.eventName)
      assert.equal(13, record.severityNumber)
      assert.equal("warn", record.severityText)
      assert.equal(trace, record.traceId)
      assert.equal(16, #record.spanId)
      assert.is_true(math.abs(tonumber(record.timeUnixNano) / 1e9 - os.time()) < 60)
      assert.is_true(tonumber(record.observedTimeUnixNano) + 1e9 > tonumber(record.timeUnixNano))
      assert.same({ 0.5, 3, true }, { record.attributes.share, record.attributes.count,
        record.attributes.yes })
      assert.equal("/said/:what", record.attributes["http.route"])
      local access = c:wait("logs", function(r)
        return r.eventName == "access" and r.traceId == trace
      end)
      assert.equal("access", access.body.stringValue)
      assert.equal(200, access.attributes["http.response.status_code"])
      assert.equal("ok", access.attributes["weir.why"])
    end)
  end

  it("are counted when there are more than can be read", function()
    start { OTEL_TRACES_EXPORTER = "none" }
    g:get "/flood"
    wait.for_("lines that were missed", function()
      return g:metric("weir_telemetry_dropped_total", 'signal="logs",reason="missed"') > 0
    end)
    g:get "/said/after"
    c:wait("logs", function(r) return r.attributes.what == "after" end)
  end)

  it("are those of all processes, the master's too", function()
    start { OTEL_TRACES_EXPORTER = "none" }
    g:get "/raise"
    local record = c:wait("logs", function(r)
      return r.eventName == "script.error" and r.attributes["http.route"] == "/raise"
    end)
    assert.equal(17, record.severityNumber)
    assert.equal("", record.traceId or "")
    g:reload {}
    local reload = c:wait("logs", function(r) return r.eventName == "reload" end)
    assert.is_nil(reload.attributes["weir.worker"])
  end)
end)
