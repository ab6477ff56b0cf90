-- A breaker that an operator has begin anew.
local c, ffi = require "spec.support.c" ("resilience/breaker.h")

local S = 1e9

local function new(options)
  local k, rng = ffi.new("struct wr_breaker_config"), ffi.new("struct wr_rng")
  c.wr_breaker_config_init(k)
  k.open_jitter = 0
  for key, value in pairs(options or {}) do k[key] = value end
  c.wr_rng_init(rng, 42)
  local b = ffi.new("struct wr_breaker")
  c.wr_breaker_init(b, k, rng, 0)
  return b
end

local function state(b, now)
  return ffi.string(c.wr_breaker_state_name(c.wr_breaker_state(b, now)))
end

local function fail(b, now)
  local ticket, why = ffi.new("struct wr_ticket"), ffi.new("struct wr_breaker_refusal")
  assert(c.wr_breaker_try(b, now, ticket, why))
  c.wr_breaker_settle(b, ticket, c.WR_OUTCOME_FAILURE, now)
  return ticket
end

local function stats(b, now)
  local s = ffi.new("struct wr_breaker_stats")
  c.wr_breaker_stats(b, now, s)
  return s
end

local function last_cause(b)
  local cause, event = nil, ffi.new("struct wr_breaker_event")
  while c.wr_breaker_take_event(b, event) do
    cause = ffi.string(c.wr_breaker_cause_name(event.cause))
  end
  return cause
end

describe("breaker reset", function()
  it("closes it, with nothing counted and the first open time next", function()
    local b = new { consecutive = 2, open_ns = S }
    for at = 1, 3 do -- trips three times in a row, so that the open time has doubled
      fail(b, at * 20 * S)
      if c.wr_breaker_state(b, at * 20 * S) == c.WR_BREAKER_CLOSED then fail(b, at * 20 * S) end
    end
    assert.equal("open", state(b, 60 * S))
    assert.is_true(c.wr_breaker_reset(b, 60 * S))
    assert.equal("closed", state(b, 60 * S))
    assert.equal("reset", last_cause(b))
    assert.equal(0, stats(b, 60 * S).calls)
    assert.equal(0, stats(b, 60 * S).trips)
    fail(b, 61 * S)
    assert.equal("closed", state(b, 61 * S)) -- what it counts in a row began anew
    fail(b, 61 * S)
    assert.equal("open", state(b, 61 * S))
    assert.equal("half_open", state(b, 62 * S))
  end)

  it("forgets what a closed one has counted, and is no transition then", function()
    local b = new()
    fail(b, S)
    assert.is_true(c.wr_breaker_reset(b, 2 * S))
    assert.equal(0, stats(b, 2 * S).calls)
    assert.is_nil(last_cause(b))
  end)

  it("lifts an operator's override", function()
    local b = new()
    c.wr_breaker_force(b, c.WR_BREAKER_MODE_FORCED_OPEN, S)
    assert.is_true(c.wr_breaker_reset(b, 2 * S))
    assert.equal("closed", state(b, 2 * S))
    assert.equal(c.WR_BREAKER_MODE_NORMAL, c.wr_breaker_mode(b))
  end)

  it("does not overrule its policy or its health check", function()
    local disabled = new { mode = c.WR_BREAKER_MODE_DISABLED }
    assert.is_false(c.wr_breaker_reset(disabled, S))
    assert.equal("disabled", state(disabled, S))
    local held = new()
    c.wr_breaker_hold(held, true, S)
    assert.is_false(c.wr_breaker_reset(held, 2 * S))
    assert.equal("open", state(held, 2 * S))
  end)
end)
