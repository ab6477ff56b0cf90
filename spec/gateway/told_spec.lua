--- What clients are told beside the answer: Proxy-Status with errors, Server-Timing where a route
--- wants it.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local ports = require "spec.support.ports"

local SCRIPT = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  local dead = weir.upstream("dead", { endpoints = { "http://127.0.0.1:$(dead)" } })
  local alive = weir.upstream("alive", { endpoints = { "http://127.0.0.1:$(origin)" } })
  local open = weir.policy("open", { weir.breaker { mode = "forced_open" } })
  local none = weir.policy("none", { weir.bulkhead { max = 1, queue = 0 } })
  local rare = weir.policy("rare", { weir.limiter { rate = "1/h", burst = 1 } })
  local short = weir.policy("short", { weir.timeout "20ms" })
  local function run(req) return alive:forward(req, { path = req.target:match "%?(.*)" }) end
  weir.route("GET /dead", function(req) return dead:forward(req) end)
  weir.route("GET /open", function() return open(function() return "in" end) end)
  weir.route("GET /full", function()
    return none(function() return none(function() return "in" end) end)
  end)
  weir.route("GET /rare", function() return rare(function() return "in" end) end)
  weir.route("GET /slow", function(req) return short(function() return run(req) end) end)
  weir.route("GET /raises", function() error("a secret") end)
  weir.route("GET /quotes", function()
    return nil, weir.error("invalid", 'say "no\\yes"\n' .. ("x"):rep(400))
  end)
  weir.route("GET /timed", { timing = true }, run)
  weir.route("GET /timed/error", { timing = true }, function(req) return dead:forward(req) end)
  weir.route("GET /plain", run)
]]

describe("a client is told", function()
  local g, o

  setup(function()
    o = origin.start()
    g = gateway.start { workers = 1, origin = o.port, dead = ports.free(), SCRIPT }
    g:expect "script.error"
    g:expect "breaker.transition"
  end)
  teardown(function()
    g:stop()
    o:kill()
  end)

  local function status(path) return g:get(path).headers["proxy-status"] end

  it("what went wrong, in the words of RFC 9209", function()
    assert.matches('^weir; error=destination_unavailable; details=".*refused', status "/dead")
    assert.matches('^weir; error=destination_unavailable; details="breaker \'open\' refused',
      status "/open")
    assert.matches("^weir; error=connection_limit_reached; details=\"bulkhead", status "/full")
    g:get "/rare"
    assert.matches("^weir; error=http_request_denied; details=\"limiter", status "/rare")
    assert.matches("^weir; error=http_response_timeout; ",
      status("/slow?" .. origin.target { "hang" }))
    assert.equal('weir; error=proxy_internal_error; details="the policy for this request failed"',
      status "/raises")
    assert.is_nil(status("/plain?" .. origin.target { origin.answer("200 OK", "x") }))
    assert.is_nil(status("/plain?" .. origin.target { origin.answer("503 No", "x") }))
  end)

  it("what the upstream said of itself, as it said it", function()
    local told = 'cdn; error=dns_error; details="far away"'
    assert.equal(told, status("/plain?" .. origin.target {
      origin.answer("502 Bad Gateway", "x", "Proxy-Status: " .. told .. "\r\n") }))
  end)

  it("nothing that is no text of a field", function()
    local value = status "/quotes"
    assert.matches('^weir; error=http_request_error; details="say \\"no\\\\yes\\"%?x+"$', value)
  end)

  it("how long it took, where the route says so", function()
    local ok = origin.target { origin.answer("200 OK", "x") }
    local timing = g:get("/timed?" .. ok).headers["server-timing"]
    assert.matches("^queue;dur=0%.0, upstream;dur=%d+%.%d, total;dur=%d+%.%d$", timing)
    assert.matches("total;dur=", g:get("/timed/error").headers["server-timing"])
    assert.is_nil(g:get("/plain?" .. ok).headers["server-timing"])
  end)
end)
