-- A breaker that a health check holds open.
local c, ffi = require "spec.support.c" ("resilience/breaker.h")

local S = 1e9
local NEVER = 0xffffffffffffffffULL

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

local function try(b, now)
  local ticket, why = ffi.new("struct wr_ticket"), ffi.new("struct wr_breaker_refusal")
  if c.wr_breaker_try(b, now, ticket, why) then return ticket end
  return nil, ffi.string(c.wr_breaker_refusal_name(why.kind)), why.retry_after_ns
end

local function call(b, now, outcome)
  local ticket = assert(try(b, now))
  c.wr_breaker_settle(b, ticket, c["WR_OUTCOME_" .. outcome], now)
end

local function causes(b)
  local seen, event = {}, ffi.new("struct wr_breaker_event")
  while c.wr_breaker_take_event(b, event) do
    seen[#seen + 1] = ffi.string(c.wr_breaker_cause_name(event.cause))
  end
  return table.concat(seen, " ")
end

describe("breaker held by a health check", function()
  it("is open at once and for as long as it is held", function()
    local b = new { open_ns = S }
    c.wr_breaker_hold(b, true, S)
    assert.equal("open", state(b, S))
    assert.equal("open", state(b, 1000 * S))
    assert.equal(NEVER, c.wr_breaker_next_ns(b))
    local _, why, after = try(b, 1000 * S)
    assert.equal("health", why)
    assert.equal(NEVER, after)
    assert.equal("health_down", causes(b))
  end)

  it("comes back through half-open, and closes when its probes succeed", function()
    local b = new { probes = 2 }
    c.wr_breaker_hold(b, true, S)
    c.wr_breaker_hold(b, false, 60 * S)
    assert.equal("half_open", state(b, 60 * S))
    call(b, 60 * S, "SUCCESS")
    call(b, 60 * S, "SUCCESS")
    assert.equal("closed", state(b, 60 * S))
    assert.equal("health_down health_up probes_succeeded", causes(b))
  end)

  it("opens for its first time when they fail: being held is no trip", function()
    local b = new { open_ns = 5 * S, probes = 1 }
    for i = 1, 4 do
      c.wr_breaker_hold(b, true, i * S)
      c.wr_breaker_hold(b, false, i * S)
    end
    assert.equal(0, b.trips)
    call(b, 10 * S, "FAILURE")
    assert.equal(15 * S, tonumber(c.wr_breaker_next_ns(b)))
  end)

  it("stays open beyond its own open time, and leaves it early when the check is up", function()
    local b = new { consecutive = 1, open_ns = 60 * S, open_max_ns = 60 * S }
    call(b, S, "FAILURE")
    c.wr_breaker_hold(b, true, 2 * S)
    assert.equal("open", state(b, 100 * S))
    c.wr_breaker_hold(b, false, 101 * S)
    assert.equal("half_open", state(b, 101 * S))
    assert.equal("consecutive health_up", causes(b))
  end)

  it("makes results of before stale", function()
    local b = new { consecutive = 1 }
    local ticket = assert(try(b, S))
    c.wr_breaker_hold(b, true, 2 * S)
    assert.is_false(c.wr_breaker_settle(b, ticket, c.WR_OUTCOME_FAILURE, 3 * S))
    c.wr_breaker_hold(b, false, 4 * S)
    assert.equal("half_open", state(b, 4 * S))
  end)

  it("changes nothing when it is told again", function()
    local b = new()
    c.wr_breaker_hold(b, false, S)
    c.wr_breaker_hold(b, true, S)
    c.wr_breaker_hold(b, true, 2 * S)
    assert.equal("health_down", causes(b))
  end)

  it("leaves an operator's mode above it, and opens when that is lifted", function()
    local b = new()
    c.wr_breaker_force(b, c.WR_BREAKER_MODE_FORCED_CLOSED, S)
    c.wr_breaker_hold(b, true, 2 * S)
    assert.equal("forced_closed", state(b, 2 * S))
    c.wr_breaker_force(b, c.WR_BREAKER_MODE_NORMAL, 3 * S)
    assert.equal("open", state(b, 3 * S))
    assert.equal(0, b.trips)
  end)

  it("refuses nothing in shadow, and counts what it would have", function()
    local b = new { mode = c.WR_BREAKER_MODE_SHADOW }
    c.wr_breaker_hold(b, true, S)
    assert.truthy(try(b, 2 * S))
    assert.equal(1, tonumber(b.counters.shadow_not_permitted))
  end)

  it("is open after a repair, whatever its state was", function()
    for _, torn in ipairs { c.WR_BREAKER_CLOSED, c.WR_BREAKER_HALF_OPEN, 99 } do
      local b = new()
      c.wr_breaker_hold(b, true, S)
      b.state = torn
      c.wr_breaker_repair(b, 0, 0, 2 * S)
      assert.equal("open", state(b, 100 * S))
      c.wr_breaker_hold(b, false, 101 * S)
      assert.equal("half_open", state(b, 101 * S))
    end
  end)
end)
