local collector = require "spec.support.collector"
local gateway = require "spec.support.gateway"

describe("metrics over OTLP", function()
  local c, g

  setup(function() c = collector.start() end)
  teardown(function() c:kill() end)

  after_each(function()
    if g and not g.process:is_over() then g:stop() end
  end)

  local function start(env)
    env.OTEL_TRACES_EXPORTER, env.OTEL_LOGS_EXPORTER = env.traces or "none", "none"
    env.traces = nil
    env.OTEL_SERVICE_NAME = env.OTEL_SERVICE_NAME or "metrics"
    g = gateway.start { workers = 2, env = c:env(env), [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local sold = weir.metrics.counter("shop_sold_total", "Things sold")
      local size = weir.metrics.histogram("shop_size_bytes", "Sizes", { buckets = { 1, 10, 100 } })
      weir.route("GET /sell/*what", function(req)
        sold:inc { what = req.query.what or req.params.what }
        size:observe(7)
        size:observe(1000)
        return "sold"
      end)
      weir.route("GET /many", function()
        for i = 1, 900 do sold:inc { what = "many" .. i } end
        return "many"
      end)
      weir.route("GET /slow", function()
        weir.sleep "5ms"
        return "slow"
      end)
      weir.policy("idle", { weir.breaker {} })
    ]] }
  end

  local function point_of(metric, label, value)
    local data = metric.sum or metric.gauge or metric.histogram or metric.summary
      or metric.exponentialHistogram
    for _, point in ipairs(data.dataPoints) do
      if not label or collector.attributes(point.attributes)[label] == value then return point end
    end
  end

  -- The first point of a metric that has the label, and the metric, once `is_it` says yes.
  local function wait(service, name, label, value, is_it)
    local found
    local metric = c:wait("metrics", function(metric)
      if metric.name ~= name or metric.resource["service.name"] ~= service then return false end
      found = point_of(metric, label, value)
      return found ~= nil and (is_it == nil or is_it(found))
    end)
    return found, metric
  end

  for _, form in ipairs { "protobuf", "json" } do
    it("are what /metrics shows, cumulative since the start, in " .. form, function()
      local service = "metrics-" .. form
      start { OTEL_EXPORTER_OTLP_METRICS_PROTOCOL = "http/" .. form, OTEL_SERVICE_NAME = service,
        OTEL_EXPORTER_OTLP_COMPRESSION = form == "json" and "gzip" or nil }
      local odd = "/sell/x?what=a%22b%5Cc%0Ad%7D%20%23%20%7Bx%3D1,y"
      for _ = 1, 3 do assert.equal(200, g:get(odd).status) end
      local point, metric = wait(service, "shop_sold_total", "what", 'a"b\\c\nd} # {x=1,y',
        function(p) return p.asDouble == 3 end)
      assert.equal("Things sold", metric.description)
      assert.is_true(metric.sum.isMonotonic)
      assert.equal(2, metric.sum.aggregationTemporality)
      assert.is_true(tonumber(point.startTimeUnixNano) < tonumber(point.timeUnixNano))
      point, metric = wait(service, "shop_size_bytes", nil, nil,
        function(p) return p.count == "6" end)
      assert.equal("By", metric.unit)
      assert.equal(2, metric.histogram.aggregationTemporality)
      assert.same({ 1, 10, 100 }, point.explicitBounds)
      assert.same({ "0", "3", "0", "3" }, point.bucketCounts)
      assert.equal(3021, point.sum)
    end)
  end

  it("bear OpenTelemetry's names where it has them", function()
    start { OTEL_SERVICE_NAME = "names" }
    g:get "/sell/apple"
    local point, metric = wait("names", "http.server.request.duration", "http.route", "/sell/*what")
    local labels = collector.attributes(point.attributes)
    assert.equal("s", metric.unit)
    assert.equal(200, labels["http.response.status_code"])
    assert.equal("GET", labels["http.request.method"])
    assert.equal("1", point.count)
  end)

  local BASE2 = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

  -- Where the bucket ends that has the only observation.
  local function bound_of(point)
    for i, count in ipairs(point.positive.bucketCounts) do
      if tonumber(count) > 0 then return 2 ^ ((point.positive.offset + i) / 2 ^ point.scale) end
    end
  end

  for _, form in ipairs { "protobuf", "json" } do
    it("have exponential histograms of what is in seconds, where they are wanted, in " .. form,
      function()
        local service = "exponential-" .. form
        start { OTEL_SERVICE_NAME = service, [BASE2] = "base2_exponential_bucket_histogram",
          OTEL_EXPORTER_OTLP_METRICS_PROTOCOL = "http/" .. form }
        g:get "/slow"
        local point, metric = wait(service, "http.server.request.duration", "http.route",
          "/slow")
        assert.equal("s", metric.unit)
        assert.equal(2, metric.exponentialHistogram.aggregationTemporality)
        assert.same({ "1", 3, "0" }, { point.count, point.scale, point.zeroCount or "0" })
        assert.equal(2 ^ -17, point.zeroThreshold)
        assert.is_true(point.sum <= bound_of(point) * 1.001, point.sum)
        assert.is_true(point.sum > bound_of(point) / 2 ^ (1 / 8) * 0.999, point.sum)
        for _ = 1, 9 do g:get "/slow" end
        point = wait(service, "http.server.request.duration", "http.route", "/slow",
          function(p) return p.count == "10" end)
        local sum = 0
        for _, count in ipairs(point.positive.bucketCounts) do sum = sum + count end
        assert.equal(10, sum)
        g:get "/sell/apple"
        -- Those of a script, and of bytes, have the bounds that they were given.
        _, metric = wait(service, "shop_size_bytes")
        assert.is_not_nil(metric.histogram)
      end)
  end

  for _, kind in ipairs { "base2_exponential_bucket_histogram", "explicit_bucket_histogram" } do
    it("name traces that are examples, of a " .. kind, function()
      start { OTEL_SERVICE_NAME = kind, [BASE2] = kind, traces = "otlp" }
      g:get "/sell/apple"
      local span = c:wait("traces", function(s)
        return s.name == "GET /sell/*what" and s.resource["service.name"] == kind
      end)
      local point = wait(kind, "http.server.request.duration", "http.route", "/sell/*what")
      local example = point.exemplars[1]
      assert.same({ span.traceId, span.spanId }, { example.traceId, example.spanId })
      assert.is_near(point.sum, example.asDouble, 1e-6)
      assert.is_true(tonumber(example.timeUnixNano) > tonumber(point.startTimeUnixNano))
      assert.is_true(tonumber(example.timeUnixNano) <= tonumber(point.timeUnixNano))
    end)
  end

  it("have the states of primitives, and what processes use", function()
    start { OTEL_SERVICE_NAME = "states" }
    local point, metric = wait("states", "weir_breaker_state", "name", "idle")
    assert.is_not_nil(metric.gauge)
    assert.is_not_nil(point.asDouble)
    wait("states", "process_cpu_seconds_total")
    wait("states", "http.client.open_connections", "http.connection.state", "idle")
  end)

  it("have quantiles of the last seconds, and NaN where there was nothing", function()
    start { OTEL_SERVICE_NAME = "quantiles" }
    g:get "/sell/pear"
    local point = wait("quantiles", "weir_route_duration_seconds", "route", "/sell/*what",
      function(p)
        g:get "/sell/pear"
        return type(p.quantileValues[1].value) == "number" -- JSON's NaN is null
      end)
    assert.is_number(point.sum)
    assert.is_true(tonumber(point.count) > 0)
    assert.same({ 0.5, 0.95, 0.99 }, { point.quantileValues[1].quantile,
      point.quantileValues[2].quantile, point.quantileValues[3].quantile })
  end)

  it("of many series are all there", function()
    start { OTEL_SERVICE_NAME = "many" }
    g:get "/many"
    wait("many", "shop_sold_total", "what", "many1")
    wait("many", "shop_sold_total", "what", "many900")
    assert.equal(0, (g:metric("weir_telemetry_dropped_total", 'signal="metrics"')))
  end)

  it("are sent once more when weir stops", function()
    start { OTEL_SERVICE_NAME = "last", OTEL_METRIC_EXPORT_INTERVAL = "600000" }
    g:get "/sell/plum"
    g:stop()
    wait("last", "shop_sold_total", "what", "plum")
  end)
end)
