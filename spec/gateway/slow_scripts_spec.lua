local gateway = require "spec.support.gateway"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

-- What scripts that compute for long, or take much memory, mean for others on the same worker.
describe("slow scripts", function()
  local g

  setup(function()
    g = gateway.start { workers = 1, log_level = "warn", [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local done = 0
      weir.route("GET /slow", function()
        local x = 0
        for i = 1, 8000000 do x = x + i end
        done = done + 1
        return "slow"
      end)
      weir.route("GET /done", function() return tostring(done) end)
      weir.route("GET /garbage", function()
        local n = 0
        for i = 1, 12 do
          n = n + #((" "):rep(2e6) .. i)
          weir.sleep "1ms" -- so that it is never in Lua for long in one go
        end
        return tostring(n)
      end)
      weir.route("GET /kept", function()
        local t = {}
        while true do
          for i = 1, 20000 do t[#t + 1] = { i } end
          weir.sleep "1ms"
        end
      end)
    ]] }
    g:expect "script.error"
  end)

  teardown(function() g:stop() end)

  local function put_off()
    return (g:metric("weir_limits_reached_total", "script_slow"))
  end

  it("run one in a turn, behind all others", function()
    assert.equal(200, g:get "/slow".status) -- from here on the route is slow
    local before, done = put_off(), tonumber(g:get "/done".body)
    local clients = {}
    for i = 1, 6 do
      clients[i] = raw.connect(g.port)
      clients[i]:send "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
    end
    local between = tonumber(g:get "/done".body) - done
    assert.is_true(between <= 2, between .. " of six slow requests ran before another")
    for _, c in ipairs(clients) do
      assert.equal(200, c:response().status)
      c:close()
    end
    assert.is_true(put_off() - before >= 6, put_off() - before)
  end)

  it("are not stopped for garbage: the collector looks first", function()
    assert.equal("24000015", g:get "/garbage".body)
  end)

  it("are stopped for what they keep", function()
    assert.equal(500, g:get "/kept".status)
    local line = wait.for_("a log line", function()
      return g:log("script.error", { route = "/kept" })[1]
    end)
    assert.matches("script_growth", line.message)
    assert.is_true(line.burst_ms < 50, line.burst_ms)
  end)
end)
