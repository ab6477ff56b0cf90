local gateway = require "spec.support.gateway"
local json = require "cjson"
local load = require "spec.support.load"
local wait = require "spec.support.wait"
local zone = require "spec.support.zone"

-- A loop that waited for it would stand still for so long, once for each client.
local SECONDS = 3

describe("a resolver that takes three seconds", function()
  local g, z

  setup(function()
    z = zone.start { ["slow.test"] = { a = { "127.0.0.1" }, delay = SECONDS * 1000 } }
    g = gateway.start { workers = 1, log_level = "warn", dns = z.servers, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local slow = weir.upstream("slow", { endpoints = { "http://slow.test:9" } })
      local bounded = weir.policy("bounded", { weir.timeout "200ms" })
      weir.route("GET /slow", function(req) return bounded(function()
        return slow:forward(req) end) end)
      weir.route("GET /fast", function() return "fast" end)
    ]] }
  end)

  teardown(function()
    g:stop()
    z:kill()
  end)

  it("does not hold up a timeout, nor anybody else", function()
    local clients, worst = {}, 0
    local from = wait.now()
    for i = 1, 20 do clients[i] = g:begin("GET", "/slow", { Connection = "close" }) end
    local fast = g:connect()
    for _ = 1, 100 do
      local sent = wait.now()
      fast:send(gateway.head("GET", "/fast"))
      assert.equal(200, fast:response().status)
      worst = math.max(worst, wait.now() - sent)
    end
    fast:close()
    for i = 1, 20 do
      local r = clients[i]:response()
      assert.equal(504, r.status)
      assert.equal("timeout", json.decode(r.body).kind)
    end
    local took = wait.now() - from
    local late, all = 0, 0
    for line in g:metrics():gmatch "[^\n]+" do
      local bound, count = line:match '^weir_loop_lag_seconds_bucket{le="([^"]+)"} (%d+)'
      if bound and tonumber(bound) and tonumber(bound) <= 1 then late = tonumber(count) end
      all = tonumber(line:match "^weir_loop_lag_seconds_count (%d+)") or all
    end
    load.report("resolver", ("20 timeouts of 200 ms after %.0f ms; worst of 100 others %.1f ms; "
      .. "loop later than a second: %d of %d samples")
      :format(took * 1000, worst * 1000, all - late, all))
    assert.is_true(took >= 0.19)
    assert.is_true(took < SECONDS, took .. " s")
    assert.is_true(worst < SECONDS, worst .. " s")
    assert.is_true(all > 0)
    assert.equal(all, late)
  end)
end)
