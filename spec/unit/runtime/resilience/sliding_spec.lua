local c, ffi = require "spec.support.c" ("resilience/sliding.h", "base/rng.h")

local SECOND = 1e9
local PART = 1e9 / 8

local function new()
  return ffi.new("struct wr_sliding")
end

local function used(s, at)
  return tonumber(c.wr_sliding_used(s, PART, at * SECOND))
end

local function wait(s, limit, cost, at)
  local due = c.wr_sliding_when(s, PART, limit, cost, at * SECOND)
  if due == 0xffffffffffffffffULL then return "never" end
  return (tonumber(due) - at * SECOND) / SECOND
end

describe("sliding window", function()
  it("counts a call for a window and at most an eighth more", function()
    local s = new()
    c.wr_sliding_spend(s, PART, 1, 10.0625 * SECOND)
    for _, at in ipairs { 10.0625, 10.5, 11.0625, 11.124 } do assert.equal(1, used(s, at), at) end
    assert.equal(0, used(s, 11.125))
  end)

  it("says exactly when a call will pass", function()
    local s = new()
    c.wr_sliding_spend(s, PART, 6, 10 * SECOND)
    c.wr_sliding_spend(s, PART, 4, 10.5 * SECOND)
    assert.near(0.625, wait(s, 10, 1, 10.5), 1e-9)
    assert.near(0.625, wait(s, 10, 6, 10.5), 1e-9)
    assert.near(1.125, wait(s, 10, 7, 10.5), 1e-9, "the later calls too")
    assert.equal(0, wait(s, 10, 6, 11.125))
    assert.equal("never", wait(s, 10, 11, 10.5))
    assert.near(1.125, tonumber(c.wr_sliding_reset(s, PART, 10.5 * SECOND)) / SECOND - 10.5, 1e-9)
  end)

  it("never lets more than the limit into any window, wherever it begins", function()
    local rng = ffi.new("struct wr_rng")
    for seed = 1, 50 do
      c.wr_rng_init(rng, seed)
      local s, now, passed, limit = new(), 5 * SECOND, {}, 20
      for _ = 1, 2000 do
        now = now + tonumber(c.wr_rng_below(rng, seed % 2 == 0 and 5e7 or 3e8))
        if tonumber(c.wr_sliding_when(s, PART, limit, 1, now)) == now then
          c.wr_sliding_spend(s, PART, 1, now)
          passed[#passed + 1] = now
        end
      end
      for i = limit + 1, #passed do
        assert.is_true(passed[i] - passed[i - limit] >= SECOND, "seed " .. seed .. " call " .. i)
      end
    end
  end)

  it("gives a steady stream at least 8/9 of its limit", function()
    local s, now, passed = new(), 0, 0
    for _ = 1, 100000 do
      now = now + 1e6
      if tonumber(c.wr_sliding_when(s, PART, 90, 1, now)) == now then
        c.wr_sliding_spend(s, PART, 1, now)
        passed = passed + 1
      end
    end
    assert.is_true(passed >= 100 * 80, passed)
    assert.is_true(passed <= 101 * 90, passed)
  end)

  it("forgets everything after a long gap, and nothing when the clock steps back", function()
    local s = new()
    c.wr_sliding_spend(s, PART, 5, 10 * SECOND)
    assert.equal(5, used(s, 9.5))
    c.wr_sliding_spend(s, PART, 1, 9.5 * SECOND)
    assert.equal(6, used(s, 10))
    c.wr_sliding_spend(s, PART, 2, 1000 * SECOND)
    assert.equal(2, used(s, 1000))
  end)

  it("keeps calls at least as long when the window's length changes", function()
    local s = new()
    c.wr_sliding_spend(s, PART, 6, 10 * SECOND)
    c.wr_sliding_spend(s, PART, 4, 10.5 * SECOND)
    c.wr_sliding_rescale(s, PART, 4 * PART, 10.5 * SECOND)
    local function at(t) return tonumber(c.wr_sliding_used(s, 4 * PART, t * SECOND)) end
    assert.equal(10, at(10.5))
    assert.equal(10, at(13.9))
    assert.equal(0, at(15.1))
    c.wr_sliding_rescale(s, 4 * PART, PART, 10.5 * SECOND)
    assert.equal(10, used(s, 10.5))
  end)

  it("is valid after a repair of arbitrary bytes", function()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, 3)
    for _ = 1, 200 do
      local s = new()
      local bytes = ffi.cast("uint8_t *", s)
      for i = 0, ffi.sizeof(s) - 1 do bytes[i] = tonumber(c.wr_rng_below(rng, 256)) end
      c.wr_sliding_repair(s, PART, 50 * SECOND)
      assert.equal(0, used(s, 52), "all is over after a window and two eighths")
      c.wr_sliding_spend(s, PART, 1, 52 * SECOND)
      assert.equal(1, used(s, 52))
    end
  end)
end)
