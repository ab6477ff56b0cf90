local c = require "spec.support.c" ("resilience/gcra.h")

local SECOND = 1e9

local function new(limit, burst, period)
  return c.wr_gcra_of(period or SECOND, limit, burst)
end

--- Asks at `at` seconds: "ok", or the seconds to wait; pays when it passes.
local function try(g, debt, at, cost)
  local now = at * SECOND
  local due = c.wr_gcra_when(g, debt.owed, cost or 1, now)
  if due == 0xffffffffffffffffULL then return "never" end
  local wait = tonumber(due) - now
  if wait > 0 then return wait / SECOND end
  debt.owed = c.wr_gcra_spend(g, debt.owed, cost or 1, now)
  return "ok"
end

describe("gcra", function()
  it("answers as the golden vector of the formula does", function()
    local g, debt = new(10, 5), { owed = 0 }
    local vector = {
      { 0, "ok" }, { 0, "ok" }, { 0, "ok" }, { 0, "ok" }, { 0, "ok" }, { 0, 0.1 },
      { 0.1, "ok" }, { 0.1, 0.1 },
      { 0.35, "ok" }, { 0.35, "ok" }, { 0.35, 0.05 },
      { 2, "ok" },
    }
    for i, step in ipairs(vector) do
      local got = try(g, debt, step[1])
      if type(step[2]) == "number" then
        assert.near(step[2], got, 1e-9, "step " .. i)
      else
        assert.equal(step[2], got, "step " .. i)
      end
    end
  end)

  it("knows what is left and what is owed", function()
    local g, debt = new(10, 5), { owed = 0 }
    assert.equal(5, c.wr_gcra_left(g, debt.owed, 0))
    for left = 4, 0, -1 do
      try(g, debt, 0)
      assert.equal(left, c.wr_gcra_left(g, debt.owed, 0))
    end
    assert.equal(5, tonumber(c.wr_gcra_used(g, debt.owed, 0)))
    assert.equal(0, c.wr_gcra_left(g, debt.owed, 0.05 * SECOND), "half a call is none")
    assert.equal(2, c.wr_gcra_left(g, debt.owed, 0.2 * SECOND))
    assert.equal(0, tonumber(c.wr_gcra_used(g, debt.owed, 0.5 * SECOND)))
  end)

  it("charges a cost at once, and never lets one above the burst pass", function()
    local g, debt = new(10, 5), { owed = 0 }
    assert.equal("ok", try(g, debt, 0, 3))
    assert.near(0.1, try(g, debt, 0, 3), 1e-9)
    assert.equal("ok", try(g, debt, 0, 2))
    assert.equal("never", try(g, debt, 100, 6))
    assert.equal("ok", try(g, debt, 100, 5))
  end)

  it("refuses a cost whose time does not fit 64 bits", function()
    local g = new(1, 9, 366 * 24 * 3600 * SECOND)
    for cost = 10, 65535 do
      if try(g, { owed = 0 }, 1, cost) ~= "never" then error("cost " .. cost .. " passed") end
    end
  end)

  it("rounds the gap up, so that a rate that is no whole gap is never exceeded", function()
    local g = new(3, 1)
    assert.equal(333333334, tonumber(g.gap_ns))
    local g7 = new(700000, 1)
    assert.equal(1429, tonumber(g7.gap_ns))
  end)

  it("keeps the number of calls owed when the rate changes", function()
    local slow, fast = new(10, 5), new(100, 50)
    local owed = c.wr_gcra_rescale(slow, fast, 5e8, 0) -- five calls
    assert.equal(5, tonumber(c.wr_gcra_used(fast, owed, 0)))
    assert.equal(45, c.wr_gcra_left(fast, owed, 0))
    assert.equal(5e8, tonumber(c.wr_gcra_rescale(fast, slow, owed, 0)), "and back")
    assert.equal(7, tonumber(c.wr_gcra_rescale(slow, fast, 7, 100)), "nothing owed stays so")
  end)

  it("does not mind a clock that steps back", function()
    local g, debt = new(10, 2), { owed = 0 }
    assert.equal("ok", try(g, debt, 10))
    assert.equal("ok", try(g, debt, 10))
    assert.near(0.2, try(g, debt, 9.9), 1e-9)
  end)
end)
