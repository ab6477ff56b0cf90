local c, ffi = require "spec.support.c" ("resilience/quantile.h", "base/rng.h")

local MS, S = 1e6, 1e9

local function new(span)
  local q = ffi.new("struct wr_quantile")
  c.wr_quantile_init(q, span or 10 * S)
  return q
end

local function at(q, now, p)
  return tonumber(c.wr_quantile_at(q, now, p))
end

local function events(q, now)
  return tonumber(c.wr_quantile_events(q, now))
end

-- At most a sixteenth too long, never too short; durations below 16 us have steps of 1024 ns.
local function assert_about(expected, found, reason)
  assert.is_true(found >= expected and found <= expected * 17 / 16 + 2048,
    ("%s: wanted about %g, got %g"):format(reason or "", expected, found))
end

describe("live quantile", function()
  it("knows nothing without samples", function()
    local q = new()
    assert.equal(0, at(q, S, 0.5))
    assert.equal(0, events(q, S))
  end)

  it("is the duration that a share of the calls stays below", function()
    local q = new()
    for i = 1, 1000 do c.wr_quantile_add(q, S, i * MS, false) end
    for _, p in ipairs { 0.01, 0.1, 0.5, 0.9, 0.95, 0.99, 1 } do
      assert_about(p * 1000 * MS, at(q, S, p), "p" .. p)
    end
  end)

  it("is as exact from microseconds to an hour; what is longer is at the top", function()
    for exponent = 3, 12 do
      for _, digit in ipairs { 1, 1.03, 1.9, 2.7, 9.99 } do
        local duration = digit * 10 ^ exponent
        if duration < 3600 * S then
          local q = new()
          c.wr_quantile_add(q, S, duration, false)
          assert_about(duration, at(q, S, 0.5), "one sample")
        end
      end
    end
    local q = new()
    c.wr_quantile_add(q, S, 1e18, false)
    assert.is_true(at(q, S, 0.5) > 3600 * S)
  end)

  -- Kaplan and Meier's own kind of example: 6-MP remission times of Freireich et al. 1963 (weeks),
  -- + is censored: 6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+.
  -- Survival falls to 0.857 at 6, 0.807 at 7, 0.753 at 10, 0.690 at 13, 0.627 at 16, 0.538 at 22,
  -- 0.448 at 23, where it stays.
  it("counts what was cut short as the product-limit estimator does", function()
    local q = new()
    local weeks = { 6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32,
      -34, -35 }
    for _, week in ipairs(weeks) do
      c.wr_quantile_add(q, S, math.abs(week) * 1000 * MS, week < 0)
    end
    local cases = { { 0.14, 6 }, { 0.15, 7 }, { 0.19, 7 }, { 0.2, 10 }, { 0.24, 10 }, { 0.25, 13 },
      { 0.31, 16 }, { 0.37, 16 }, { 0.38, 22 }, { 0.46, 22 }, { 0.47, 23 }, { 0.55, 23 } }
    for _, case in ipairs(cases) do
      assert_about(case[2] * 1000 * MS, at(q, S, case[1]), "quantile " .. case[1])
    end
    assert_about(35000 * MS, at(q, S, 0.6), "more than ended: the longest that was seen")
    assert.equal(9, events(q, S))
  end)

  it("is not pulled down by calls that were cut short at the delay it gave", function()
    -- 90 of 100 take 10 ms, 10 would take 1 s and are cut at 20 ms, as a hedge does.
    local q = new()
    for i = 1, 1000 do c.wr_quantile_add(q, S, (i % 10 == 0 and 20 or 10) * MS, i % 10 == 0) end
    assert_about(10 * MS, at(q, S, 0.9))
    assert_about(20 * MS, at(q, S, 0.95), "nobody knows more than 20 ms")
  end)

  it("forgets after its span, a fifth at a time", function()
    local q = new(10 * S)
    for i = 0, 9 do c.wr_quantile_add(q, i * S, 10 * MS, false) end
    assert.equal(10, events(q, 9.9 * S))
    assert.equal(8, events(q, 10 * S))
    assert.equal(2, events(q, 17.9 * S))
    assert.equal(0, events(q, 18 * S))
    c.wr_quantile_add(q, 1000 * S, 500 * MS, false)
    assert_about(500 * MS, at(q, 1000 * S, 0.01))
    c.wr_quantile_add(q, 999 * S, 500 * MS, false)
    assert.equal(2, events(q, 1000 * S), "a clock that steps back counts as now")
  end)

  it("follows a change within its span", function()
    local q = new(10 * S)
    for i = 0, 99 do c.wr_quantile_add(q, i * 0.1 * S, 10 * MS, false) end
    for i = 100, 199 do c.wr_quantile_add(q, i * 0.1 * S, 200 * MS, false) end
    assert_about(200 * MS, at(q, 19.9 * S, 0.1))
  end)

  it("keeps its samples when the span changes, as far as the new one reaches", function()
    local q = new(10 * S)
    for i = 0, 9 do c.wr_quantile_add(q, (100 + i) * S, (i + 1) * 10 * MS, i % 5 == 0) end
    assert.equal(8, events(q, 109 * S))
    c.wr_quantile_reshape(q, 109 * S, 60 * S)
    assert.equal(8, events(q, 109 * S))
    assert_about(100 * MS, at(q, 109 * S, 1))
    c.wr_quantile_reshape(q, 109 * S, 60 * S)
    assert.equal(8, events(q, 155 * S), "they live as long as the new span")
    assert.equal(0, events(q, 180 * S))
    q = new(10 * S)
    for i = 0, 9 do c.wr_quantile_add(q, (100 + i) * S, (i + 1) * 10 * MS, false) end
    c.wr_quantile_reshape(q, 109.9 * S, 2 * S)
    assert.equal(2, events(q, 109.9 * S), "what is older than that is forgotten")
    assert_about(100 * MS, at(q, 109.9 * S, 1))
  end)

  it("agrees with a sorted list of random durations", function()
    local seed = os.time()
    local r = ffi.new("struct wr_rng")
    c.wr_rng_init(r, seed)
    for _ = 1, 40 do
      local q, all = new(), {}
      for i = 1, 50 + tonumber(c.wr_rng_below(r, 500)) do
        all[i] = math.floor(math.exp(c.wr_rng_unit(r) * 16 + 8))
        c.wr_quantile_add(q, S, all[i], false)
      end
      table.sort(all)
      for _, p in ipairs { 0.5, 0.9, 0.99 } do
        assert_about(all[math.ceil(#all * p - 1e-6)], at(q, S, p), "seed " .. seed)
      end
    end
  end)

  it("is valid after a repair, whatever its bytes are", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 200 do
      local q = new()
      for i = 1, 50 do c.wr_quantile_add(q, 100 * S, i * MS, i % 3 == 0) end
      local bytes = ffi.cast("uint8_t *", q)
      for _ = 1, math.random(50) do
        bytes[math.random(0, ffi.sizeof(q) - 1)] = math.random(0, 255)
      end
      c.wr_quantile_repair(q, 100 * S, 10 * S)
      local value = at(q, 100 * S, 0.9)
      assert.is_true(value <= 54 * MS, "seed " .. seed)
      assert.is_true(events(q, 100 * S) <= 50, "seed " .. seed)
      c.wr_quantile_add(q, 100 * S, 70 * MS, false)
      assert.is_true(events(q, 100 * S) >= 1, "seed " .. seed)
    end
  end)

  it("is left as it is by a repair when it is whole", function()
    local q, copy = new(), ffi.new("struct wr_quantile")
    for i = 1, 50 do c.wr_quantile_add(q, 100 * S, i * MS, i % 3 == 0) end
    ffi.copy(copy, q, ffi.sizeof(q))
    c.wr_quantile_repair(q, 100 * S, 10 * S)
    assert.equal(ffi.string(copy, ffi.sizeof(q)), ffi.string(q, ffi.sizeof(q)))
  end)
end)
