local c, ffi = require "spec.support.c" ("resilience/comparison.h", "base/rng.h")

local RAISED, FAILED, SLOW = c.WR_COMPARISON_RAISED, c.WR_COMPARISON_FAILED, c.WR_COMPARISON_SLOW

local function group(requests, measure, bad)
  local g = ffi.new "struct wr_comparison_group"
  g.requests = requests
  if measure then g.bad[measure] = bad end
  return g
end

local function is_worse(measure, canary, baseline)
  return c.wr_comparison_judge(group(canary[1], measure, canary[2]),
    group(baseline[1], measure, baseline[2])).is_worse
end

describe("comparison", function()
  it("knows the chances of draws without putting back", function()
    -- Exact fractions: C(a, b) by hand.
    local cases = {
      -- all, bad ones, drawn, of them bad at least; probability
      { 10, 5, 5, 5, 1 / 252 },
      { 10, 5, 5, 4, 26 / 252 },
      { 10, 5, 5, 0, 1 },
      { 100, 5, 5, 5, 1 / 75287520 },
      { 4, 2, 2, 1, 5 / 6 },
      { 4, 4, 2, 2, 1 },
      { 10, 8, 5, 3, 1 }, -- there are only two good ones
      { 0, 0, 0, 0, 1 },
      { 10, 0, 5, 1, 0 },
    }
    for _, case in ipairs(cases) do
      local p = c.wr_comparison_chance(case[1], case[2], case[3], case[4])
      assert.is_true(math.abs(p - case[5]) <= 1e-9 * math.max(case[5], 1e-9), tostring(p))
    end
    -- As scipy.stats.hypergeom.sf(9, 2000, 30, 100) has it: 2000 requests, 30 bad, 100 drawn.
    local direct = 0
    local function ln_choose(n, k)
      local sum = 0
      for i = 1, k do sum = sum + math.log((n - k + i) / i) end
      return sum
    end
    for x = 10, 30 do
      direct = direct + math.exp(ln_choose(30, x) + ln_choose(1970, 100 - x) - ln_choose(2000, 100))
    end
    local p = c.wr_comparison_chance(2000, 30, 100, 10)
    assert.is_true(math.abs(p - direct) < 1e-9 * direct, p .. " and " .. direct)
  end)

  it("finds what is plainly worse with few requests", function()
    assert.is_true(is_worse(RAISED, { 5, 5 }, { 95, 0 }))
    assert.is_true(is_worse(FAILED, { 20, 10 }, { 400, 4 }))
    assert.is_true(is_worse(SLOW, { 60, 40 }, { 1000, 50 }))
  end)

  it("does not take a little chance, or a little difference, for worse", function()
    assert.is_false(is_worse(RAISED, { 1, 1 }, { 1000, 0 }))
    assert.is_false(is_worse(FAILED, { 20, 2 }, { 400, 4 }))
    assert.is_false(is_worse(FAILED, { 1000000, 5000 }, { 1000000, 0 }), "half a point")
    assert.is_true(is_worse(RAISED, { 1000000, 5000 }, { 1000000, 0 }))
    assert.is_false(is_worse(FAILED, { 100, 0 }, { 100, 50 }), "better")
    assert.is_false(is_worse(FAILED, { 0, 0 }, { 100, 50 }))
    assert.is_false(is_worse(FAILED, { 100, 100 }, { 0, 0 }))
  end)

  it("names the first measure that is worse, with both shares", function()
    local canary, baseline = group(100, FAILED, 50), group(1000, FAILED, 20)
    canary.bad[SLOW], baseline.bad[SLOW] = 90, 50
    local r = c.wr_comparison_judge(canary, baseline)
    assert.equal(tonumber(FAILED), tonumber(r.measure))
    assert.equal(0.5, r.canary)
    assert.equal(0.02, r.baseline)
    assert.is_true(r.chance < 1e-5)
    assert.equal("failed", ffi.string(c.wr_comparison_measure_name(r.measure)))
  end)

  it("seldom calls two that are alike different, though it is asked all the time", function()
    local rng = ffi.new "struct wr_rng"
    c.wr_rng_init(rng, 4711)
    local alarms, runs = 0, 400
    for run = 1, runs do
      local canary, baseline, p = group(0), group(0), (run % 10 + 1) / 100
      for i = 1, 2000 do
        local g = c.wr_rng_below(rng, 20) == 0 and canary or baseline
        g.requests = g.requests + 1
        if tonumber(c.wr_rng_below(rng, 10000)) < p * 10000 then
          g.bad[FAILED] = g.bad[FAILED] + 1
        end
        if i % 10 == 0 and c.wr_comparison_judge(canary, baseline).is_worse then
          alarms = alarms + 1
          break
        end
      end
    end
    assert.is_true(alarms <= runs / 100, alarms .. " false alarms")
  end)

  it("is quick with millions of requests", function()
    local r = c.wr_comparison_judge(group(5000000, FAILED, 2500000), group(95000000, FAILED, 1e6))
    assert.is_true(r.is_worse)
    assert.is_false(is_worse(FAILED, { 5000000, 1000000 }, { 95000000, 20000000 }))
  end)
end)
