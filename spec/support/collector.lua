--- The collector of OTLP (spec/support/collector.mjs) as an object.
---
---     local c = collector.start()
---     gateway.start { env = c:env { OTEL_BSP_SCHEDULE_DELAY = "100" }, … }
---     c:spans()      -- all spans so far, each with its resource's attributes in `resource`
local json = require "cjson"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local collector = {}
local Collector = {}
Collector.__index = Collector

--- `certificate` (of spec/support/certificates.lua): it listens with TLS too, on `tls_port`;
--- `client_ca`: there with clients alone who show a certificate that this authority signed.
function collector.start(certificate, client_ca)
  local self = setmetatable({}, Collector)
  self.process = process.spawn { "/usr/bin/env", "node", "spec/support/collector.mjs",
    certificate and certificate.cert, certificate and certificate.key,
    client_ca and client_ca.cert }
  self.port = self.process:line "port (%d+)"
  self.tls_port = certificate and self.process:line "tls (%d+)"
  return self
end

--- Variables that send everything here at once, and `more`.
function Collector:env(more)
  local env = {
    OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:" .. self.port,
    OTEL_BSP_SCHEDULE_DELAY = "50", OTEL_BLRP_SCHEDULE_DELAY = "50",
    OTEL_METRIC_EXPORT_INTERVAL = "200",
  }
  for name, value in pairs(more or {}) do env[name] = value or nil end
  return env
end

--- All exports so far, of one signal if it is named; none has a problem.
function Collector:seen(signal)
  local list = json.decode(raw.once(self.port,
    "GET /seen HTTP/1.1\r\nHost: c\r\nConnection: close\r\n\r\n").body)
  local out = {}
  for _, export in ipairs(list) do
    assert(export.problem == nil, export.problem)
    if signal == nil or export.signal == signal then out[#out + 1] = export end
  end
  return out
end

--- What the next exports get: see the head of collector.mjs.
function Collector:answer(list)
  local body = json.encode(list)
  local r = raw.once(self.port, ("PUT /answers HTTP/1.1\r\nHost: c\r\nConnection: close\r\n"
    .. "Content-Length: %d\r\n\r\n%s"):format(#body, body))
  assert(r.status == 200, r.body)
end

--- Attributes as a table.
function collector.attributes(list)
  local out = {}
  for _, pair in ipairs(list or {}) do
    local value = pair.value
    out[pair.key] = value.stringValue or value.doubleValue or tonumber(value.intValue)
    if value.boolValue ~= nil then out[pair.key] = value.boolValue end
  end
  return out
end

local NAMES = {
  traces = { "resourceSpans", "scopeSpans", "spans" },
  metrics = { "resourceMetrics", "scopeMetrics", "metrics" },
  logs = { "resourceLogs", "scopeLogs", "logRecords" },
}

--- All records of a signal that were taken (status 200), their attributes as tables.
function Collector:records(signal)
  local out, names = {}, NAMES[signal]
  for _, export in ipairs(self:seen(signal)) do
    for _, resource in ipairs(export.status == 200 and export.body[names[1]] or {}) do
      for _, scope in ipairs(resource[names[2]]) do
        for _, record in ipairs(scope[names[3]]) do
          record.resource = collector.attributes(resource.resource.attributes)
          record.attributes = collector.attributes(record.attributes)
          out[#out + 1] = record
        end
      end
    end
  end
  return out
end

--- Waits for a record of a signal that `is_it` says yes to.
function Collector:wait(signal, is_it)
  return wait.for_("a record of " .. signal, function()
    for _, record in ipairs(self:records(signal)) do
      if is_it(record) then return record end
    end
  end)
end

function Collector:kill()
  self.process:kill()
end

return collector
