-- The last ten seconds, from the differences of metric series.
local c, ffi = require "spec.support.c" ("observe/traffic_page.h")
local json = require "cjson"
local open = require "spec.support.arena"

local SECOND = 1000000000

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

describe("traffic", function()
  local arena, traffic, now

  before_each(function()
    arena = assert(open(c, ffi, { series_max = 2048 }))
    traffic = ffi.new("struct wr_traffic")
    now = 0
    c.wr_traffic_init(traffic, arena)
  end)
  after_each(function()
    c.wr_traffic_fini(traffic)
    c.wr_arena_fini(arena)
  end)

  local function second()
    now = now + SECOND
    c.wr_traffic_tick(traffic, now)
  end

  local function page()
    local out, j = ffi.new("struct wr_buf"), ffi.new("struct wr_json")
    c.wr_buf_init(out, 1024 * 1024)
    c.wr_json_init(j, out)
    c.wr_json_object(j)
    c.wr_traffic_page_write(traffic, j)
    c.wr_json_object_end(j)
    local text = ffi.string(out.data, out.len)
    c.wr_buf_fini(out)
    return json.decode(text)
  end

  local function served(route, status, took, times)
    local series = c.wr_series_get(arena, c.WR_METRIC_HTTP_SERVER_DURATION, str(
      ('http_request_method="GET",http_response_status_code="%d",http_route="%s"')
        :format(status, route)))
    for _ = 1, times or 1 do c.wr_series_observe(arena, 0, series, took) end
  end

  local function counted(metric, labels, times)
    c.wr_series_add(arena, 0, c.wr_series_get(arena, metric, str(labels)), times)
  end

  it("has how long calls waited for each primitive that has a queue", function()
    second()
    local function waited(metric, name, seconds, times)
      local series = c.wr_series_get(arena, metric, str(('name="%s"'):format(name)))
      for _ = 1, times do c.wr_series_observe(arena, 0, series, seconds) end
    end
    waited(c.WR_METRIC_BULKHEAD_WAIT, "pay", 0.05, 40)
    waited(c.WR_METRIC_LIMITER_WAIT, "pay", 0.2, 10)
    second()
    local waits = page().waits
    assert.same({ "bulkhead", "pay", 40 }, { waits[1].kind, waits[1].name, waits[1].per_s })
    assert.same({ "limiter", "pay", 10 }, { waits[2].kind, waits[2].name, waits[2].per_s })
    assert.is_near(0.05, waits[1].p99_s, 0.005)
    assert.is_near(0.2, waits[2].p99_s, 0.02)
  end)

  it("has rates, errors and percentiles of each route and of all", function()
    served("GET /a", 200, 0.003, 7) -- before the window
    second()
    served("GET /a", 200, 0.02, 90)
    served("GET /a", 503, 0.3, 10)
    served("GET /b", 200, 0.02, 100)
    second()
    second()
    local p = page()
    assert.equal(2, p.window_s)
    assert.equal(207, p.requests.total)
    assert.equal(10, p.requests.errors)
    assert.equal(100, p.requests.per_s)
    assert.equal(0.05, p.requests.error_ratio)
    local a = p.routes[1].name == "GET /a" and p.routes[1] or p.routes[2]
    assert.equal(107, a.total)
    assert.equal(50, a.per_s)
    assert.equal(0.1, a.error_ratio)
    assert.is_true(math.abs(a.p50_s / 0.02 - 1) < 0.091, a.p50_s)
    assert.is_true(math.abs(a.p95_s / 0.3 - 1) < 0.091, a.p95_s)
    assert.is_true(a.p95_s <= a.p99_s)
  end)

  it("has the same percentiles for a scrape, as summaries", function()
    local function scrape()
      local out = ffi.new("struct wr_buf")
      c.wr_buf_init(out, 1024 * 1024)
      assert.is_true(c.wr_traffic_page_summaries(traffic, out))
      local text = ffi.string(out.data, out.len)
      c.wr_buf_fini(out)
      return text
    end
    served("GET /a", 200, 0.02, 50)
    second()
    local text = scrape()
    local median = 'weir_route_duration_seconds{route="GET /a",quantile="0.5"} '
    assert.is_truthy(text:find(median .. "NaN\n", 1, true))
    served("GET /a", 200, 0.02, 90)
    served("GET /a", 503, 0.3, 10)
    second()
    text = scrape()
    assert.matches("\n# TYPE weir_attempt_duration_seconds summary\n", text)
    local p99 = text:match '{route="GET /a",quantile="0.99"} (%S+)\n'
    assert.equal(page().routes[1].p99_s, math.floor(p99 * 1e5 + 0.5) / 1e5)
    assert.matches('weir_route_duration_seconds_sum{route="GET /a"} 5.8\n', text, 1, true)
    assert.matches('weir_route_duration_seconds_count{route="GET /a"} 150\n', text, 1, true)
  end)

  it("forgets what is ten seconds old", function()
    second()
    served("GET /a", 500, 20, 30)
    second()
    assert.equal(30, page().requests.per_s)
    assert.is_true(math.abs(page().routes[1].p50_s / 20 - 1) < 0.091)
    for _ = 1, 9 do second() end
    assert.equal(10, page().window_s)
    assert.equal(3, page().requests.per_s)
    second()
    local p = page()
    assert.equal(0, p.requests.per_s)
    assert.equal(0, p.requests.error_ratio)
    assert.equal(json.null, p.requests.p99_s)
    assert.equal(30, p.requests.total)
  end)

  it("takes a sample a second, however often it is asked", function()
    second()
    served("GET /a", 200, 0.02, 5)
    c.wr_traffic_tick(traffic, now + SECOND / 2)
    assert.equal(0, page().window_s)
    second()
    assert.equal(5, page().requests.per_s)
  end)

  it("says nothing of rates before there is a window", function()
    served("GET /a", 200, 0.02, 5)
    second()
    local p = page()
    assert.equal(0, p.window_s)
    assert.equal(0, p.requests.per_s)
    assert.equal(5, p.requests.total)
  end)

  it("puts the busiest routes first and shows no more than a page bears", function()
    second()
    for i = 1, 150 do served("GET /" .. i, 200, 0.001, i) end
    second()
    local routes = page().routes
    assert.equal(c.WR_TRAFFIC_SHOWN, #routes)
    for i, route in ipairs(routes) do assert.equal("GET /" .. 151 - i, route.name) end
  end)

  it("tells why requests of a route ended as they did", function()
    second()
    served("GET /a", 503, 0.001)
    counted(c.WR_METRIC_RESPONSES, 'route="GET /a",why="breaker_open"', 3)
    counted(c.WR_METRIC_RESPONSES, 'route="GET /a",why="ok"', 4)
    counted(c.WR_METRIC_RESPONSES, 'route="GET /b",why="ok"', 9)
    second()
    assert.same({ breaker_open = 3, ok = 4 }, page().routes[1].why)
  end)

  it("reads labels with escapes in them", function()
    second()
    served([[GET /a\"b,http_route=\"\\]], 200, 0.001)
    second()
    assert.equal([[GET /a"b,http_route="\]], page().routes[1].name)
  end)

  it("counts attempts that got no answer as errors", function()
    second()
    local function attempt(labels)
      c.wr_series_observe(arena, 0, c.wr_series_get(arena, c.WR_METRIC_HTTP_CLIENT_DURATION,
        str('upstream="u",' .. labels)), 0.01)
    end
    attempt 'http_response_status_code="200",error_type=""'
    attempt 'http_response_status_code="502",error_type=""'
    attempt 'http_response_status_code="",error_type="connect"'
    attempt 'http_response_status_code="404",error_type=""'
    second()
    local attempts = page().attempts
    assert.equal("u", attempts[1].name)
    assert.equal(0.5, attempts[1].error_ratio)
    assert.same({}, page().routes)
  end)

  it("has attempts in flight as they are, not as they changed", function()
    counted(c.WR_METRIC_ENDPOINT_IN_FLIGHT, 'upstream="u",endpoint="http://a"', 3)
    counted(c.WR_METRIC_ENDPOINT_IN_FLIGHT, 'upstream="u",endpoint="http://b"', 0)
    second()
    second()
    assert.same({ { name = "u", in_flight = { ["http://a"] = 3 } } }, page().endpoints)
  end)

  it("has what retries and ladders did", function()
    second()
    counted(c.WR_METRIC_RETRY_CALLS, 'name="r",kind="successful_with_retry"', 3)
    counted(c.WR_METRIC_RETRY_ATTEMPTS, 'name="r",reason="connect"', 5)
    counted(c.WR_METRIC_FALLBACK, 'name="l",step="cached"', 2)
    counted(c.WR_METRIC_FALLBACK, 'name="l",step="static"', 1)
    second()
    local p = page()
    assert.same({ { name = "r", calls = { successful_with_retry = 3 }, extra = { connect = 5 } } },
      p.retries)
    assert.same({ { name = "l", steps = { cached = 2, static = 1 } } }, p.fallbacks)
  end)
end)
