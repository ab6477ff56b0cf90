local c, ffi = require "spec.support.c" ("resilience/hedge.h", "base/rng.h")

local MS, S = 1e6, 1e9
local PRIMARY, HEDGE, FAILED, CANCELLED = 0, 1, 2, 3
local NEVER = 0xffffffffffffffffULL

local function config(options)
  local k = ffi.new("struct wr_hedge_config")
  c.wr_hedge_config_init(k)
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local h = ffi.new("struct wr_hedge")
  c.wr_hedge_init(h, config(options))
  return h
end

-- `n` calls that end by themselves after `took`.
local function calls(h, now, n, took)
  for _ = 1, n do
    c.wr_hedge_begin(h, now)
    c.wr_hedge_end(h, PRIMARY, took, now)
  end
end

describe("hedge", function()
  it("has a fixed delay from the first call on", function()
    local h = new { delay_ns = 50 * MS, max_extra_load = 0 }
    assert.equal(50 * MS, tonumber(c.wr_hedge_begin(h, S)))
  end)

  it("has no delay before enough calls have ended", function()
    local h = new { percentile = 0.9, min_calls = 20 }
    calls(h, S, 19, 10 * MS)
    assert.equal(NEVER, c.wr_hedge_begin(h, S))
    c.wr_hedge_end(h, FAILED, 1, S)
    assert.equal(NEVER, c.wr_hedge_begin(h, S), "a failure says nothing about how long calls take")
    calls(h, S, 1, 10 * MS)
    assert.is_true(c.wr_hedge_begin(h, S) ~= NEVER)
  end)

  it("follows the percentile, and forgets", function()
    local h = new { percentile = 0.9, window_ns = 10 * S }
    for i = 1, 100 do calls(h, S, 1, i * MS) end
    local delay = tonumber(c.wr_hedge_delay(h, 1.6 * S)) -- looked up every twentieth of the window
    assert.is_true(delay >= 90 * MS and delay <= 96 * MS, delay)
    for i = 1, 100 do calls(h, 13 * S, 1, i * 10 * MS) end
    delay = tonumber(c.wr_hedge_delay(h, 14 * S))
    assert.is_true(delay >= 900 * MS and delay <= 960 * MS, delay)
    assert.equal(NEVER, c.wr_hedge_delay(h, 60 * S))
  end)

  it("takes the delay from the extra load that is allowed", function()
    local h = new { max_extra_load = 0.05 }
    for i = 1, 1000 do calls(h, S, 1, i * MS) end
    local delay = tonumber(c.wr_hedge_delay(h, 3 * S))
    assert.is_true(delay >= 950 * MS and delay <= 1010 * MS, delay)
  end)

  it("does not go below its minimum", function()
    local h = new { percentile = 0.9, min_delay_ns = 5 * MS }
    calls(h, S, 100, 1000)
    assert.equal(5 * MS, tonumber(c.wr_hedge_delay(h, S)))
  end)

  it("does not creep down because of the calls that it cuts short", function()
    -- A tenth of the calls hang, and end when their hedge wins: 1 ms after the delay.
    local h = new { max_extra_load = 0.2, window_ns = 10 * S }
    local now = 0
    for i = 1, 5000 do
      now = now + 10 * MS
      local delay = c.wr_hedge_begin(h, now)
      if i % 10 ~= 0 then
        c.wr_hedge_end(h, PRIMARY, (20 + i % 7) * MS, now)
      else
        local took = delay == NEVER and 1 * S or tonumber(delay) + 1 * MS
        c.wr_hedge_end(h, delay == NEVER and PRIMARY or HEDGE, took, now)
      end
    end
    local delay = tonumber(c.wr_hedge_delay(h, now))
    assert.is_true(delay >= 24 * MS and delay <= 29 * MS, delay)
  end)

  it("never spends more than the extra load, over the window and from the beginning", function()
    local seed = os.time()
    local r = ffi.new("struct wr_rng")
    c.wr_rng_init(r, seed)
    local function below(n) return tonumber(c.wr_rng_below(r, n)) end
    for _ = 1, 30 do
      local share = (1 + below(30)) / 100
      local h = new { max_extra_load = share, delay_ns = below(2) * MS, window_ns = 10 * S }
      local now, begun, paid = below(1e9), {}, {}
      for _ = 1, 1500 do
        now = now + below(below(30) == 0 and 12 * S or 0.05 * S)
        if below(2) == 0 then
          c.wr_hedge_begin(h, now)
          begun[#begun + 1] = now
        elseif c.wr_hedge_pay(h, below(2) == 0, now) then
          paid[#paid + 1] = now
          assert.is_true(#paid <= share * #begun + 1e-6, "seed " .. seed)
          local seen, spent = 0, 0
          for _, at in ipairs(begun) do if now - at < 10 * S then seen = seen + 1 end end
          for _, at in ipairs(paid) do if now - at < 9 * S then spent = spent + 1 end end
          assert.is_true(spent <= share * seen + 1e-6, "seed " .. seed)
        end
      end
      assert.equal(#paid, tonumber(h.counters.slow + h.counters.failed))
    end
  end)

  it("counts without a bound too", function()
    local h = new { delay_ns = MS, max_extra_load = 0 }
    calls(h, S, 10, MS)
    for _ = 1, 5 do assert.is_true(c.wr_hedge_pay(h, true, S)) end
    assert.equal(0.5, c.wr_hedge_load(h, S))
  end)

  it("counts how calls ended", function()
    local h = new()
    for end_, n in pairs { [PRIMARY] = 4, [HEDGE] = 3, [FAILED] = 2, [CANCELLED] = 1 } do
      for _ = 1, n do
        c.wr_hedge_begin(h, S)
        c.wr_hedge_end(h, end_, MS, S)
      end
      assert.equal(n, tonumber(h.counters.ends[end_]))
    end
    assert.equal(10, tonumber(h.counters.calls))
    assert.equal("primary", ffi.string(c.wr_hedge_end_name(PRIMARY)))
  end)

  it("keeps samples and spending when it is reconfigured", function()
    local h = new { percentile = 0.5, window_ns = 10 * S }
    calls(h, S, 100, 10 * MS)
    c.wr_hedge_reconfigure(h, config { percentile = 0.9, window_ns = 10 * S }, S)
    assert.is_true(c.wr_hedge_delay(h, S) ~= NEVER)
    c.wr_hedge_reconfigure(h, config { percentile = 0.9, window_ns = 20 * S }, S)
    assert.is_true(c.wr_hedge_delay(h, S) ~= NEVER)
    assert.equal(100, tonumber(h.counters.calls))
  end)

  it("names the bound that a configuration breaks", function()
    local broken = {
      percentile = { percentile = 1 }, max_extra_load = { max_extra_load = 2 },
      ["not both"] = { percentile = 0.5, delay_ns = 1 }, window = { window_ns = 1 },
      min_calls = { min_calls = 0 }, ["max must"] = { max = 11 },
      ["delay, percentile or"] = { max_extra_load = 0 }, min_delay = { min_delay_ns = NEVER },
    }
    for word, options in pairs(broken) do
      assert.truthy(ffi.string(c.wr_hedge_config_check(config(options))):find(word, 1, true), word)
    end
    assert.truthy(c.wr_hedge_config_check(config { percentile = 0 / 0 }) ~= nil)
    assert.is_true(c.wr_hedge_config_check(config()) == nil)
  end)

  it("is valid after a repair, whatever its bytes are", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 200 do
      local h = new { percentile = 0.9 }
      calls(h, 100 * S, 50, 10 * MS)
      local bytes = ffi.cast("uint8_t *", h)
      for _ = 1, math.random(100) do
        bytes[math.random(0, ffi.sizeof(h) - 1)] = math.random(0, 255)
      end
      c.wr_hedge_repair(h, 100 * S)
      assert.is_true(c.wr_hedge_config_check(h.config) == nil, "seed " .. seed)
      local load = c.wr_hedge_load(h, 100 * S)
      assert.is_true(load >= 0, "seed " .. seed)
      c.wr_hedge_begin(h, 100 * S)
      c.wr_hedge_pay(h, true, 100 * S)
      c.wr_hedge_end(h, HEDGE, MS, 100 * S)
    end
  end)
end)
