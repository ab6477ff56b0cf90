--- What a scrape has before anything has happened.
local gateway = require "spec.support.gateway"
local origin = require "spec.support.origin"
local zone = require "spec.support.zone"

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

describe("what bodies and names cost", function()
  local g, o, z

  setup(function()
    o = origin.start()
    z = zone.start { ["api.test"] = { a = { "127.0.0.1" }, ttl = 60 } }
    g = gateway.start { workers = 1, origin = o.port, dns = z.servers, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local up = weir.upstream("up", { endpoints = { "http://api.test:$(origin)" } })
      local gone = weir.upstream("gone", { endpoints = { "http://gone.test:$(origin)" } })
      for _, path in ipairs { "/run", "/ok" } do
        weir.route(path, function(req) return up:forward(req) end)
      end
      weir.route("GET /gone", function(req) return gone:forward(req) end)
      weir.route("GET /nothing", function() return weir.response(204) end)
    ]] }
  end)
  teardown(function()
    g:stop()
    z:kill()
    o:kill()
  end)

  -- Count and sum of a histogram's series with that label.
  local function both(name, label)
    return { (g:metric(name .. "_count", label)), (g:metric(name .. "_sum", label)) }
  end

  it("is the bytes of both bodies, on both sides, where there are any", function()
    assert.equal(200, g:request("POST", "/ok", nil, ("x"):rep(700)).status)
    local r = g:get(origin.target { origin.answer("200 OK", ("y"):rep(3000)) })
    assert.equal(3000, #r.body)
    g:get "/nothing"
    g:wait_idle()
    assert.same({ 1, 700 }, both("http_server_request_body_size_bytes", 'http_route="/ok"'))
    assert.same({ 0, 0 }, both("http_server_request_body_size_bytes", 'http_route="/run"'))
    assert.same({ 1, 3000 }, both("http_server_response_body_size_bytes", 'http_route="/run"'))
    assert.same({ 1, 700 }, both("http_client_request_body_size_bytes", 'upstream="up"'))
    local responses = both("http_client_response_body_size_bytes", 'upstream="up"')
    assert.equal(2, responses[1])
    assert.is_true(responses[2] > 3000, responses[2])
    assert.equal(0, (g:metric("http_client_response_body_size_bytes_bucket", 'le="256"')))
    assert.equal(2, (g:metric("http_client_response_body_size_bytes_bucket", 'le="1048576"')))
    assert.same({ 0, 0 }, both("http_server_response_body_size_bytes", 'http_route="/nothing"'))
  end)

  it("is the time of names that were asked for, by how that ended", function()
    assert.equal(502, g:get("/gone").status)
    assert.equal(1, both("dns_lookup_duration_seconds", 'error_type=""')[1])
    local failed = both("dns_lookup_duration_seconds", 'error_type="not_found"')
    assert.equal(1, failed[1])
    assert.is_true(failed[2] > 0 and failed[2] < 60)
    g:get "/ok" -- known by now
    assert.equal(1, both("dns_lookup_duration_seconds", 'error_type=""')[1])
  end)
end)
