--- What a release build is laid out for: the gateway path, bare and behind the layers and the ladder
--- of the design's example, with bodies both ways. `scripts/build release` runs it once, compiled
--- to count what is executed; weir is the client, the gateway and the origin, over a Unix socket.
local weir = require "weir"

local SOCKET = assert(weir.env "TRAIN_SOCKET", "TRAIN_SOCKET is not set")
local CALLS, CLIENTS = 6000, 16

weir.listen("unix:" .. SOCKET)

local declared = { endpoints = { "http://unix:" .. SOCKET }, pool = { max = 1024 } }
local gateway = weir.upstream("gateway", declared)
local origin = weir.upstream("origin", declared)

local guarded = weir.policy("origin", {
  weir.deadline "8s",
  weir.retry { max = 2, backoff = "50ms..1s" },
  weir.breaker { failure_rate = 0.5, window = "10s", min_calls = 20, open = "5s" },
  weir.bulkhead { max = 1024, queue = 32, wait = "50ms" },
  weir.limiter { rate = "1000000/s" },
  weir.timeout "2s",
})

local to_origin = { path = "/origin/small" }
local large = ("x"):rep(65536)

weir.route("/origin/small", function() return weir.json(200, { ok = true, items = { 1, 2, 3 } }) end)
weir.route("/origin/large", function() return weir.response(200, large) end)
weir.route("/bare", function(req) return origin:forward(req, to_origin) end)
weir.route("/large", function(req) return origin:forward(req, { path = "/origin/large" }) end)
weir.route("/policy/:id", function(req)
  return weir.ladder {
    { "personal", function()
      return guarded(function() return origin:forward(req, to_origin) end)
    end },
    { "static", function() return weir.response(503, "degraded\n") end },
  }
end)

local headers = { ["User-Agent"] = "train", Accept = "*/*", ["Accept-Encoding"] = "gzip" }
local mix = {
  { path = "/bare", headers = headers }, { path = "/policy/7", headers = headers },
  { path = "/policy/8", headers = headers, method = "POST", body = ("b"):rep(200) },
  { path = "/bare", headers = headers }, { path = "/policy/9", headers = headers },
  { path = "/large", headers = headers },
}

local left = CLIENTS
for _ = 1, CLIENTS do
  weir.spawn(function()
    for i = 1, CALLS / CLIENTS do
      local response, err = gateway:request(mix[i % #mix + 1])
      if not response or response.status ~= 200 then
        weir.log.error("training failed", { error = tostring(err or response.status) })
        return
      end
    end
    left = left - 1
    if left == 0 then weir.log.warn "trained" end
  end)
end
