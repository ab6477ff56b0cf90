local c, ffi = require "spec.support.c" ("resilience/budget.h", "base/rng.h")

local S = 1e9

local function config(options)
  local k = ffi.new("struct wr_budget_config")
  c.wr_budget_config_init(k)
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local b = ffi.new("struct wr_budget")
  c.wr_budget_init(b, config(options))
  return b
end

local function deposit(b, now, n)
  for _ = 1, n do c.wr_budget_deposit(b, now) end
end

--- How many withdrawals are granted, of many asked.
local function drain(b, now)
  local n = 0
  while c.wr_budget_withdraw(b, now) do n = n + 1 end
  return n
end

describe("retry budget", function()
  it("grants a share of the calls of the span, and the minimum", function()
    -- ratio, minimum, calls, granted, reason
    local cases = {
      { 0.2, 3, 0, 3, "the minimum needs no calls" },
      { 0.2, 3, 100, 23, "a fifth and three" },
      { 0.2, 0, 4, 0, "less than one retry" },
      { 0.2, 0, 5, 1, "exactly one" },
      { 0.2, 0, 15, 3, "exactly three, although 0.2 is no binary fraction" },
      { 0.3, 0, 10, 3, "a third would be 3, too" },
      { 0.3, 0, 100, 30, "not 33: no price in whole calls" },
      { 0.07, 0, 100, 7, "exactly seven" },
      { 0, 3, 1000, 3, "the minimum alone" },
      { 0, 0, 1000, 0, "nothing" },
      { 2, 0, 10, 20, "more than one per call" },
    }
    for _, case in ipairs(cases) do
      local b = new { ratio = case[1], min = case[2] }
      deposit(b, S, case[3])
      assert.equal(case[4], drain(b, S), case[5])
      assert.equal(case[4], tonumber(b.withdrawn))
      assert.equal(1, tonumber(b.denied))
    end
  end)

  it("forgets calls and retries after the span", function()
    local b = new()
    deposit(b, S, 100)
    assert.equal(23, drain(b, S))
    assert.equal(0, drain(b, 10.9 * S))
    assert.equal(3, drain(b, 11 * S))
  end)

  it("tells how much of it remains", function()
    local b = new { ratio = 0.2, min = 0 }
    assert.equal(0, c.wr_budget_remaining(b, S), "no allowance, nothing remains")
    deposit(b, S, 50)
    assert.equal(1, c.wr_budget_remaining(b, S))
    c.wr_budget_withdraw(b, S)
    assert.is_true(math.abs(c.wr_budget_remaining(b, S) - 0.9) < 1e-9)
    drain(b, S)
    assert.equal(0, c.wr_budget_remaining(b, S))
  end)

  it("never grants more than its share over the span, whatever the traffic", function()
    local seed = os.time()
    local r = ffi.new("struct wr_rng")
    c.wr_rng_init(r, seed)
    local function below(n) return tonumber(c.wr_rng_below(r, n)) end
    for _ = 1, 30 do
      local ratio, min = below(11) / 10, below(5)
      local b, now, calls, retries = new { ratio = ratio, min = min }, below(1e9), {}, {}
      for _ = 1, 600 do
        now = now + below(below(20) == 0 and 12 * S or 0.2 * S)
        if below(2) == 0 then
          deposit(b, now, 1)
          calls[#calls + 1] = now
        elseif c.wr_budget_withdraw(b, now) then
          retries[#retries + 1] = now
          -- All that the budget can have seen lies in the span; what it must, in nine tenths.
          local seen, spent = 0, 0
          for _, at in ipairs(calls) do if now - at < 10 * S then seen = seen + 1 end end
          for _, at in ipairs(retries) do if now - at < 9 * S then spent = spent + 1 end end
          assert.is_true(spent <= ratio * seen + min + 1e-6,
            ("seed %d: %d retries of %d calls at %g + %d"):format(seed, spent, seen, ratio, min))
        end
      end
    end
  end)

  it("keeps what it has seen when it is reconfigured", function()
    local b = new()
    deposit(b, S, 100)
    drain(b, S)
    c.wr_budget_reconfigure(b, config { ratio = 0.5, span_ns = 20 * S }, S)
    assert.equal(30, drain(b, S))
  end)

  it("names the bound that a configuration breaks", function()
    local broken = { ratio = { ratio = 11 }, min = { min = 2e6 }, span = { span_ns = 0 } }
    for word, options in pairs(broken) do
      assert.truthy(ffi.string(c.wr_budget_config_check(config(options))):find(word, 1, true))
    end
    assert.truthy(ffi.string(c.wr_budget_config_check(config { ratio = 0 / 0 })):find "ratio")
  end)

  it("is valid after a repair, whatever its bytes are", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 300 do
      local b = new()
      deposit(b, 100 * S, 10)
      local bytes = ffi.cast("uint8_t *", b)
      for _ = 1, math.random(100) do
        bytes[math.random(0, ffi.sizeof(b) - 1)] = math.random(0, 255)
      end
      c.wr_budget_repair(b, 100 * S)
      local left = c.wr_budget_remaining(b, 100 * S)
      assert.is_true(left >= 0 and left <= 1, "seed " .. seed)
      assert.equal(b.config.min, drain(b, 200 * b.config.span_ns + 100 * S) , "seed " .. seed)
    end
  end)
end)
