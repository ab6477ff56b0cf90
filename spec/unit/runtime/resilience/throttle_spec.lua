local c, ffi = require "spec.support.c" ("resilience/throttle.h")

local S = 1e9

local function config(options)
  local k = ffi.new("struct wr_throttle_config")
  c.wr_throttle_config_init(k)
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local t = ffi.new("struct wr_throttle")
  c.wr_throttle_init(t, config(options), 7)
  return t
end

-- Makes the window hold these numbers, whatever the throttle itself would decide.
local function feed(t, requests, accepts)
  for i = 1, requests do
    local outcome = i <= accepts and c.WR_OUTCOME_SUCCESS or c.WR_OUTCOME_FAILURE
    c.wr_throttle_settle(t, outcome, S)
  end
end

describe("throttle", function()
  it("refuses with the probability of the formula", function()
    -- requests, accepts, probability (research/resilience.md §2.6)
    for _, case in ipairs {
      { 100, 100, 0 }, { 100, 50, 0 }, { 100, 40, 20 / 101 }, { 100, 10, 80 / 101 },
      { 100, 0, 100 / 101 },
    } do
      local t = new { max_refused = 0.99 }
      feed(t, case[1], case[2])
      local expected = math.min(case[3], 0.99)
      assert.near(expected, c.wr_throttle_probability(t, S), 1e-12)
    end
  end)

  it("lets a share through however bad it gets", function()
    local t = new { max_refused = 0.9 }
    feed(t, 100000, 0)
    assert.equal(0.9, c.wr_throttle_probability(t, S))
    local admitted = 0
    for _ = 1, 10000 do admitted = admitted + (c.wr_throttle_try(t, S) and 1 or 0) end
    assert.near(1000, admitted, 150)
  end)

  it("refuses nothing below min_calls", function()
    local t = new { min_calls = 10 }
    feed(t, 9, 0)
    assert.equal(0, c.wr_throttle_probability(t, S))
    feed(t, 1, 0)
    assert.is_true(c.wr_throttle_probability(t, S) > 0.8)
  end)

  it("counts what it refuses as requests", function()
    local t = new()
    feed(t, 100, 0)
    local before = c.wr_throttle_probability(t, S)
    t.config.max_refused = 0.99
    local refused = 0
    for _ = 1, 100 do refused = refused + (c.wr_throttle_try(t, S) and 0 or 1) end
    assert.equal(refused, tonumber(t.counters.refused))
    assert.near((100 + refused) / (101 + refused), c.wr_throttle_probability(t, S), 0.01)
    assert.is_true(c.wr_throttle_probability(t, S) >= before)
  end)

  it("counts neither what was ignored nor what was cancelled", function()
    local t = new()
    feed(t, 20, 0)
    local before = c.wr_throttle_probability(t, S)
    for _ = 1, 100 do
      c.wr_throttle_settle(t, c.WR_OUTCOME_IGNORED, S)
      c.wr_throttle_settle(t, c.WR_OUTCOME_CANCELLED, S)
    end
    assert.equal(before, c.wr_throttle_probability(t, S))
  end)

  it("forgets after its window", function()
    local t = new { window_ns = 10 * S }
    feed(t, 100, 0)
    assert.is_true(c.wr_throttle_probability(t, 5 * S) > 0)
    assert.equal(0, c.wr_throttle_probability(t, 12 * S))
  end)

  it("gives an upstream of some capacity about K times what it accepts", function()
    -- 100 calls a second are wanted, the upstream takes 20 of them, for five minutes.
    for _, ratio in ipairs { 1.5, 2, 4 } do
      local t = new { ratio = ratio, window_ns = 30 * S }
      local sent, accepted = 0, 0
      for second = 1, 300 do
        local taken = 0
        for _ = 1, 100 do
          if c.wr_throttle_try(t, second * S) then
            local ok = taken < 20
            if ok then taken = taken + 1 end
            if second > 100 then
              sent, accepted = sent + 1, accepted + (ok and 1 or 0)
            end
            c.wr_throttle_settle(t, ok and c.WR_OUTCOME_SUCCESS or c.WR_OUTCOME_FAILURE, second * S)
          end
        end
      end
      assert.near(20 * 200, accepted, 250)
      assert.near(ratio, sent / accepted, 0.25 * ratio)
    end
  end)

  it("refuses nothing in shadow, and counts what it would have refused", function()
    local t = new { shadow = true }
    feed(t, 100, 0)
    for _ = 1, 100 do assert.is_true(c.wr_throttle_try(t, S)) end
    assert.equal(0, tonumber(t.counters.refused))
    assert.is_true(tonumber(t.counters.shadow_refused) > 60)
  end)

  it("keeps what it counted when its options change", function()
    local t = new()
    feed(t, 100, 10)
    c.wr_throttle_reconfigure(t, config { ratio = 4 }, S)
    assert.near(60 / 101, c.wr_throttle_probability(t, S), 1e-12)
  end)

  it("is valid after a repair whatever its bytes were", function()
    local t = ffi.new("struct wr_throttle")
    math.randomseed(11)
    for _ = 1, 200 do
      local bytes = ffi.cast("uint8_t *", t)
      for i = 0, ffi.sizeof(t) - 1 do bytes[i] = math.random(0, 255) end
      c.wr_throttle_repair(t, 100 * S)
      assert.is_true(c.wr_throttle_config_check(t.config) == nil)
      local p = c.wr_throttle_probability(t, 100 * S)
      assert.is_true(p >= 0 and p <= t.config.max_refused)
      c.wr_throttle_try(t, 101 * S)
    end
  end)

  it("names the bound that an option breaks", function()
    for key, value in pairs { ratio = 0.5, max_refused = 1, min_calls = 2e6, window_ns = 1 } do
      local problem = ffi.string(c.wr_throttle_config_check(config { [key] = value }))
      assert.matches(key:gsub("_ns", ""), problem)
    end
  end)
end)
