--- What a scrape has before anything has happened.
local gateway = require "spec.support.gateway"

describe("a scrape before any traffic", function()
  local g, text

  setup(function()
    g = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /x", function() return "x" end)]] }
    text = g:metrics()
  end)
  teardown(function() g:stop() end)

  it("names every family of the table, once", function()
    local file = assert(io.open "runtime/tables/metrics.def")
    local count = 0
    for name in file:read("*a"):gmatch '\nWR_METRIC%([%u%d_]+, "([%w_]+)"' do
      local _, times = text:gsub("\n# TYPE " .. name .. " ", "")
      local first = text:find("^# HELP " .. name .. " ") and 1 or 0
      local _, helps = text:gsub("\n# HELP " .. name .. " ", "")
      assert.equal(1, times, name)
      assert.equal(1, helps + first, name)
      count = count + 1
    end
    file:close()
    assert.is_true(count > 100)
  end)

  it("has counters from 0, whose first step a rate then sees", function()
    for name, labels in pairs {
      weir_worker_restarts_total = 'reason="signal"', weir_policy_quarantines_total = "",
      weir_policy_reloads_total = 'result="failed"', weir_log_dropped_total = "",
      weir_limits_reached_total = 'limit="script_memory"', weir_upgrades_total = 'result="failed"',
      weir_telemetry_dropped_total = 'signal="logs",reason="queue_full"',
      weir_policy_strikes_total = 'cause="stuck"', weir_tickets_settled_total = "",
    } do
      local line = labels == "" and name .. " 0" or name .. "{" .. labels .. "} 0"
      assert.is_truthy(text:find("\n" .. line .. "\n", 1, true), line)
    end
  end)

  it("says how much is used of what may run out", function()
    for _, name in ipairs { "process_open_fds", "process_max_fds", "process_resident_memory_bytes",
      "weir_server_connections", "http_server_active_requests", "weir_cache_bytes",
      "weir_lua_memory_bytes",
      'http_client_open_connections{http_connection_state="idle"}',
      'http_client_open_connections{http_connection_state="active"}' } do
      assert.is_truthy(text:find("\n" .. name .. " ", 1, true), name)
    end
    assert.is_true(g:metric "process_max_fds" >= g:metric "process_open_fds")
  end)

  it("has percentiles of what was served, which promtool takes", function()
    local wait = require "spec.support.wait"
    for _ = 1, 20 do g:get "/x" end
    local p99
    wait.for_("the percentile of a route", function()
      p99 = tonumber(g:metrics():match
        'weir_route_duration_seconds{route="/x",quantile="0.99"} (%d%S*)\n')
      return p99
    end)
    assert.is_true(p99 > 0 and p99 < 10)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(g:metrics())
    file:close()
    local pipe = io.popen("env -u LD_PRELOAD promtool check metrics <" .. path .. " 2>&1; echo $?")
    local said = pipe:read "*a"
    pipe:close()
    os.remove(path)
    assert.equal("0\n", said)
  end)
end)
