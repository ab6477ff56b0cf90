local c, ffi = require "spec.support.c" ("observe/otlp_settings.h", "upstream/client_tls.h")
local fields = require "spec.support.fields"

ffi.cdef [[
  int setenv(const char *name, const char *value, int overwrite);
  int unsetenv(const char *name);
]]

local TRACES, METRICS, LOGS = 0, 1, 2
local BASE = "http://collector.test:4318"

describe("OTLP's variables", function()
  local s, set

  local function read(env)
    set = set or {}
    for name in pairs(set) do ffi.C.unsetenv(name) end
    set = {}
    for name, value in pairs(env) do
      set["OTEL_" .. name] = true
      ffi.C.setenv("OTEL_" .. name, value, 1)
    end
    if s then c.wr_otlp_settings_fini(s) end
    s = ffi.new("struct wr_otlp_settings")
    c.wr_otlp_settings_read(s, 0xabcULL)
    return s
  end

  after_each(function()
    read {}
  end)

  local function warnings()
    local out = {}
    for i = 0, tonumber(s.warning_count) - 1 do
      out[#out + 1] = fields.text(s.warnings[i].name) .. ": " .. fields.text(s.warnings[i].value)
    end
    return out
  end

  local function pairs_of(list)
    local out = {}
    for i = 0, tonumber(list.count) - 1 do
      out[i + 1] = fields.text(list.items[i].name) .. "=" .. fields.text(list.items[i].value)
    end
    return out
  end

  it("turn nothing on where none says where to", function()
    read { SERVICE_NAME = "shop", EXPORTER_OTLP_PROTOCOL = "grpc", TRACES_SAMPLER = "what" }
    assert.is_false(c.wr_otlp_settings_is_on(s))
    assert.same({}, warnings())
    read { EXPORTER_OTLP_ENDPOINT = "" }
    assert.is_false(c.wr_otlp_settings_is_on(s))
  end)

  it("turn everything off with OTEL_SDK_DISABLED", function()
    assert.is_false(c.wr_otlp_settings_is_on(read { EXPORTER_OTLP_ENDPOINT = BASE,
      SDK_DISABLED = "True" }))
    assert.is_true(c.wr_otlp_settings_is_on(read { EXPORTER_OTLP_ENDPOINT = BASE,
      SDK_DISABLED = "1" }), "only the word true counts")
  end)

  for _, case in ipairs {
    { { EXPORTER_OTLP_ENDPOINT = BASE }, "/v1/traces", "/v1/metrics", "/v1/logs" },
    { { EXPORTER_OTLP_ENDPOINT = BASE .. "/" }, "/v1/traces", "/v1/metrics", "/v1/logs" },
    { { EXPORTER_OTLP_ENDPOINT = BASE .. "/a/b/" }, "/a/b/v1/traces", "/a/b/v1/metrics",
      "/a/b/v1/logs" },
    { { EXPORTER_OTLP_TRACES_ENDPOINT = BASE }, "/" },
    { { EXPORTER_OTLP_LOGS_ENDPOINT = BASE .. "/in?key=a%20b" }, nil, nil, "/in?key=a%20b" },
    { { EXPORTER_OTLP_ENDPOINT = BASE, METRICS_EXPORTER = "none" }, "/v1/traces", nil, "/v1/logs" },
    { { EXPORTER_OTLP_ENDPOINT = BASE, TRACES_EXPORTER = "otlp",
      EXPORTER_OTLP_METRICS_ENDPOINT = "http://m" }, "/v1/traces", "/", "/v1/logs" },
  } do
    it("say where to: " .. tostring(case[2] or case[4]), function()
      read(case[1])
      for signal = TRACES, LOGS do
        local t = s.targets[signal]
        assert.equal(case[signal + 2], t.is_on and fields.text(t.target) or nil)
      end
      assert.same({}, warnings())
    end)
  end

  it("say how, each signal's own before that of all", function()
    read { EXPORTER_OTLP_ENDPOINT = "https://collector.test", EXPORTER_OTLP_PROTOCOL = "http/json",
      EXPORTER_OTLP_METRICS_PROTOCOL = "http/protobuf", EXPORTER_OTLP_LOGS_COMPRESSION = "gzip",
      EXPORTER_OTLP_TIMEOUT = "2000", EXPORTER_OTLP_LOGS_TIMEOUT = "3",
      EXPORTER_OTLP_HEADERS = " a = b%2C c , D=,", EXPORTER_OTLP_LOGS_HEADERS = "x-key=1" }
    assert.same({}, warnings())
    local t, m, l = s.targets[TRACES], s.targets[METRICS], s.targets[LOGS]
    assert.same({ true, false, true }, { t.is_json, m.is_json, l.is_json })
    assert.same({ false, false, true }, { t.is_gzip, m.is_gzip, l.is_gzip })
    assert.equal(2000e6, tonumber(t.timeout_ns))
    assert.equal(3e6, tonumber(l.timeout_ns))
    assert.same({ "a=b, c", "D=" }, pairs_of(t.headers))
    assert.same({ "x-key=1" }, pairs_of(l.headers))
    assert.is_true(t.uri.is_https)
    assert.equal(443, t.uri.port)
  end)

  it("name the service, and what else is known of it", function()
    read { EXPORTER_OTLP_ENDPOINT = BASE }
    assert.equal("service.name=weir", pairs_of(s.resource)[1])
    assert.equal("service.instance.id=0000000000000abc", pairs_of(s.resource)[3])
    read { EXPORTER_OTLP_ENDPOINT = BASE, SERVICE_NAME = "shop",
      RESOURCE_ATTRIBUTES = "service.name=no,zone=a%2Fb,service.instance.id=7,zone=c" }
    local list = pairs_of(s.resource)
    assert.same({ "service.name=shop", "zone=a/b", "service.instance.id=7" },
      { list[1], list[2], list[3] })
    assert.same({}, warnings())
    read { EXPORTER_OTLP_ENDPOINT = BASE, RESOURCE_ATTRIBUTES = "service.name=yes" }
    assert.equal("service.name=yes", pairs_of(s.resource)[1])
  end)

  for _, case in ipairs {
    { "always_off", 0, false }, { "always_on", 1, false }, { "traceidratio", 2, false },
    { "parentbased_always_off", 0, true }, { "parentbased_always_on", 1, true },
    { "parentbased_traceidratio", 2, true },
  } do
    it("choose a sampler: " .. case[1], function()
      read { EXPORTER_OTLP_ENDPOINT = BASE, TRACES_SAMPLER = case[1], TRACES_SAMPLER_ARG = "0.25" }
      assert.same({ case[2], case[3] }, { s.sampler.kind, s.sampler.is_parent_based })
      if case[2] == 2 then assert.equal(0.25, s.sampler.ratio) end
      assert.same({}, warnings())
    end)
  end

  it("have OpenTelemetry's defaults", function()
    read { EXPORTER_OTLP_ENDPOINT = BASE }
    assert.same({ 1, true }, { s.sampler.kind, s.sampler.is_parent_based })
    assert.same({ 5e9, 60e9, 1e9 }, { tonumber(s.schedule_ns[0]), tonumber(s.schedule_ns[1]),
      tonumber(s.schedule_ns[2]) })
    assert.same({ 2048, 512 }, { tonumber(s.queue_max), tonumber(s.batch_max) })
    assert.equal(10e9, tonumber(s.targets[0].timeout_ns))
  end)

  for _, case in ipairs {
    { "EXPORTER_OTLP_ENDPOINT", "collector:4318", "is no endpoint: .*traces are not exported" },
    { "EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://x", "is no endpoint" },
    { "EXPORTER_OTLP_PROTOCOL", "grpc",
      "'grpc' is neither 'http/json' nor 'http/protobuf'; 'http/protobuf' is used" },
    { "EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "drop",
      "'drop' is neither 'base2_exponential_bucket_histogram' nor 'explicit_bucket_histogram'" },
    { "EXPORTER_OTLP_COMPRESSION", "zstd", "'zstd' is neither 'gzip' nor 'none'; 'none' is used" },
    { "EXPORTER_OTLP_TIMEOUT", "10s",
      "'10s' is not a whole number from 1 to 1000000; 10000 is used" },
    { "EXPORTER_OTLP_TIMEOUT", "0", "'0' is not a whole number" },
    { "EXPORTER_OTLP_HEADERS", "a=b,c", "an element is not name=value.*none is used" },
    { "EXPORTER_OTLP_HEADERS", "a=b%0d%0ac", "no header field that may be sent" },
    { "EXPORTER_OTLP_HEADERS", "content-length=3", "no header field that may be sent" },
    { "EXPORTER_OTLP_HEADERS", ("a=b,"):rep(65), "more than 64 elements" },
    { "RESOURCE_ATTRIBUTES", ("x"):rep(8193), "longer than 8192 bytes" },
    { "RESOURCE_ATTRIBUTES", "a=%zz", "percent%-encoded" },
    { "SERVICE_NAME", ("x"):rep(257), "longer than 256 bytes" },
    { "TRACES_EXPORTER", "zipkin", "'zipkin' is neither 'none' nor 'otlp'; 'otlp' is used" },
    { "TRACES_SAMPLER", "jaeger_remote", "none of always_on" },
    { "BSP_SCHEDULE_DELAY", "-1", "not a whole number" },
    { "BSP_MAX_QUEUE_SIZE", "x", "2048 is used" },
    { "BSP_MAX_EXPORT_BATCH_SIZE", "4096", "more than OTEL_BSP_MAX_QUEUE_SIZE; 2048 is used" },
    { "METRIC_EXPORT_INTERVAL", "", nil },
  } do
    it("are told of when they make no sense: " .. case[1] .. "=" .. case[2]:sub(1, 30), function()
      local env = { EXPORTER_OTLP_ENDPOINT = BASE }
      env[case[1]] = case[2]
      read(env)
      local said = warnings()[1]
      if not case[3] then
        assert.is_nil(said)
      else
        assert.matches("^OTEL_" .. case[1] .. ": .*" .. case[3], said)
      end
    end)
  end

  it("name certificates, without which nothing is exported, where TLS is spoken", function()
    local files = require("spec.support.certificates").new()
    local pair = files:make("client", { by = files:authority "root" })
    local SECURE = "https://collector.test:4318"
    read { EXPORTER_OTLP_ENDPOINT = SECURE, EXPORTER_OTLP_CERTIFICATE = pair.cert,
      EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE = pair.cert,
      EXPORTER_OTLP_TRACES_CLIENT_KEY = pair.key }
    assert.same({}, warnings())
    assert.matches("BEGIN CERTIFICATE", fields.text(s.targets[TRACES].tls.ca))
    assert.matches("PRIVATE KEY", fields.text(s.targets[TRACES].tls.key))
    assert.is_nil(fields.text(s.targets[METRICS].tls.key))
    local long = files.path .. "/long"
    local file = assert(io.open(long, "w"))
    file:write(("x"):rep(1048577))
    file:close()
    for variable, case in pairs {
      CERTIFICATE = { "/nonexistent.pem", "/nonexistent.pem: No such file or directory; "
        .. "traces are not exported" },
      CLIENT_KEY = { pair.key, "certificate and its key go together" },
      CLIENT_CERTIFICATE = { pair.cert, "certificate and its key go together" },
      TRACES_CERTIFICATE = { long, "longer than 1 MiB" },
      METRICS_CERTIFICATE = { pair.key, "metrics are not exported" },
    } do
      read { EXPORTER_OTLP_ENDPOINT = SECURE, ["EXPORTER_OTLP_" .. variable] = case[1] }
      assert.matches("^OTEL_EXPORTER_OTLP_" .. variable .. ": ", warnings()[1])
      assert.is_truthy(warnings()[1]:find(case[2], 1, true), warnings()[1])
      assert.is_false(s.targets[variable == "METRICS_CERTIFICATE" and METRICS or TRACES].is_on)
      assert.equal(variable:find "S_CERT" ~= nil, s.targets[LOGS].is_on)
    end
    read { EXPORTER_OTLP_ENDPOINT = BASE, EXPORTER_OTLP_CERTIFICATE = "/nonexistent.pem" }
    assert.same({}, warnings()) -- nothing of TLS is needed
    files:remove()
  end)

  it("are told of once, however many signals share them", function()
    read { EXPORTER_OTLP_ENDPOINT = BASE, EXPORTER_OTLP_PROTOCOL = "grpc" }
    assert.equal(1, #warnings())
    read { EXPORTER_OTLP_ENDPOINT = "nowhere" }
    assert.equal(3, #warnings(), "each signal is not exported")
  end)

  it("refuse a ratio that is none", function()
    for _, text in ipairs { "1.5", "-0.1", "nan", "half", "0.5x" } do
      read { EXPORTER_OTLP_ENDPOINT = BASE, TRACES_SAMPLER = "traceidratio",
        TRACES_SAMPLER_ARG = text }
      assert.equal(1, s.sampler.ratio, text)
      assert.matches("ratio from 0 to 1", warnings()[1])
    end
  end)
end)
