local c, ffi = require "spec.support.c" ("resilience/trend.h", "base/rng.h")

--- A trend of windows { inflight, throughput, latency }.
local function trend(count, window_of)
  local t = ffi.new "struct wr_trend"
  for i = 1, count do
    c.wr_trend_add(t, ffi.new("struct wr_trend_window", window_of(i)))
  end
  return t
end

local function saturated(count, window_of)
  return c.wr_trend_is_saturated(trend(count, window_of))
end

describe("trend", function()
  it("tells more results from more waiting", function()
    local cases = {
      { "more in flight, more results", false, function(i) return { i, 10 * i, 100 } end },
      { "more in flight, as many results, longer latency", true,
        function(i) return { i, 500 + i % 2, 100 * i } end },
      { "more in flight, fewer results", true, function(i) return { i, 500 - i, 100 } end },
      { "more results in spite of more latency", false,
        function(i) return { i, 100 * i, 100 * i } end },
      { "as many results at the same latency", false,
        function(i) return { i, 500, 100 } end },
      { "nothing moves", false, function() return { 20, 500, 100 } end },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], saturated(20, case[3]), case[1])
    end
  end)

  it("says nothing before it has seen enough, and forgets what is old", function()
    local function worse(i) return { i, 500 - i, 100 } end
    assert.is_false(saturated(7, worse))
    assert.is_true(saturated(8, worse))
    local t = trend(100, worse)
    for i = 1, 20 do
      c.wr_trend_add(t, ffi.new("struct wr_trend_window", { i, 10 * i, 100 }))
    end
    assert.is_false(c.wr_trend_is_saturated(t))
    assert.is_true(t.count < 40)
  end)

  it("can be repaired from any bytes", function()
    local seed = os.time()
    local rng = ffi.new "struct wr_rng"
    c.wr_rng_init(rng, seed)
    for _ = 1, 500 do
      local t = trend(30, function(i) return { i, i, i } end)
      local bytes = ffi.cast("uint8_t *", t)
      for _ = 1, 1 + tonumber(c.wr_rng_below(rng, 30)) do
        bytes[tonumber(c.wr_rng_below(rng, ffi.sizeof(t)))] = tonumber(c.wr_rng_below(rng, 256))
      end
      c.wr_trend_repair(t)
      assert.is_true(t.count < 40, "seed " .. seed)
      c.wr_trend_is_saturated(t)
      for i = 0, 19 do
        local w = t.windows[i]
        local is_kept = i < t.count
        assert.is_true(not is_kept or w.inflight == w.inflight, "seed " .. seed)
      end
    end
    local whole = trend(30, function(i) return { i, 2 * i, 3 * i } end)
    local count, last = whole.count, whole.windows[19].latency
    c.wr_trend_repair(whole)
    assert.same({ count, last }, { whole.count, whole.windows[19].latency })
  end)
end)
