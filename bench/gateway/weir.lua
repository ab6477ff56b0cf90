-- weir as it is measured: bare, or behind the layers and the ladder of the design's example. Limits
-- are wide, so that nothing is refused on a busy machine; they cost the same. The last rung
-- answers 503: an answer that was not the upstream's would be seen.
local weir = require "weir"

local pair = { cert = "$(cert)", key = "$(key)" } -- "" without TLS
weir.listen("127.0.0.1:$(port)", pair.cert ~= "" and {
  tls = { min_version = "1.3", certificates = { pair } } } or {})

local origin = weir.upstream("origin", {
  endpoints = { "http://127.0.0.1:$(origin)" }, pool = { max = 1024 },
})

local guarded = weir.policy("origin", {
  weir.deadline "20s",
  weir.retry { max = 2, backoff = "50ms..1s" },
  weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, open = "5s" },
  weir.bulkhead { max = 1024, queue = 32, wait = "50ms" },
  weir.timeout "10s",
})

local function policy(req)
  return weir.ladder {
    { "personal", function() return guarded(function() return origin:forward(req) end) end },
    { "static", function() return weir.response(503, "degraded\n") end },
  }
end

local function bare(req)
  return origin:forward(req)
end

weir.route("/*path", ("$(kind)" == "policy") and policy or bare)
