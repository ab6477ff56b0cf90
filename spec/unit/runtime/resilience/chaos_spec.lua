local c, ffi = require "spec.support.c" ("resilience/chaos.h")

local S = 1e9
local NEVER = 0xffffffffffffffffULL
local err = ffi.new("struct wr_error")
local latency = ffi.new("uint64_t[1]")

local function config(options)
  local k = ffi.new("struct wr_chaos_config")
  c.wr_chaos_config_init(k)
  k.is_permitted = true
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local e = ffi.new("struct wr_chaos")
  c.wr_chaos_init(e, config(options))
  return e
end

local function armed(options, for_ns)
  local e = new(options)
  assert(c.wr_chaos_apply(e, for_ns or 0, S, err))
  return e
end

local event = ffi.new("struct wr_chaos_event")

-- The causes that were told since the last time.
local function told(e)
  return c.wr_chaos_take_event(e, event) and ffi.string(c.wr_chaos_cause_name(event.cause)) or nil
end

local function draw(e, hash, now)
  local hit = c.wr_chaos_draw(e, hash, now or 2 * S, latency)
  return hit, tonumber(latency[0])
end

describe("chaos", function()
  it("is off until it is applied", function()
    local e = new { probability = 1 }
    assert.is_false(c.wr_chaos_is_armed(e, 2 * S))
    assert.is_false((draw(e, 1)))
    assert.is_true(c.wr_chaos_apply(e, 0, S, err))
    assert.is_true((draw(e, 1)))
    assert.equal(1, tonumber(e.injected))
  end)

  it("cannot be applied where chaos is not allowed, nor for longer than it may", function()
    local e = new { is_permitted = false }
    assert.is_false(c.wr_chaos_apply(e, 0, S, err))
    assert.matches("%-%-allow%-chaos", ffi.string(err.message))
    e = new { expires_ns = 60 * S }
    assert.is_false(c.wr_chaos_apply(e, 61 * S, S, err))
    assert.equal(c.WR_ERROR_INVALID, err.kind)
    assert.matches("61 s is too long: .* 60 s", ffi.string(err.message))
    assert.is_true(c.wr_chaos_apply(e, 60 * S, S, err))
  end)

  it("ends by itself, and tells it once", function()
    local e = armed({ probability = 1 }, 10 * S)
    assert.equal(11 * S, tonumber(c.wr_chaos_next_ns(e)))
    assert.equal("applied", told(e))
    assert.is_true((draw(e, 1, 11 * S - 1)))
    c.wr_chaos_advance(e, 11 * S - 1)
    assert.is_nil(told(e))
    assert.is_false((draw(e, 1, 11 * S)))
    c.wr_chaos_advance(e, 11 * S)
    assert.equal("expired", told(e))
    assert.is_nil(told(e))
    assert.is_true(c.wr_chaos_next_ns(e) == NEVER)
  end)

  it("can be rolled back once", function()
    local e = armed { probability = 1 }
    assert.is_true(c.wr_chaos_rollback(e, 2 * S))
    assert.is_false(c.wr_chaos_rollback(e, 2 * S))
    assert.is_false((draw(e, 1)))
    assert.equal("rolled_back", told(e))
  end)

  it("hits a share of the calls, the same ones in every process", function()
    local a, b = armed { probability = 0.3, seed = 5 }, armed { probability = 0.3, seed = 5 }
    local other = armed { probability = 0.3, seed = 6 }
    local hits, same_as_other = 0, 0
    for hash = 1, 10000 do
      local hit = draw(a, hash)
      assert.equal(hit, (draw(b, hash, 5 * S)))
      if hit then hits = hits + 1 end
      if hit and draw(other, hash) then same_as_other = same_as_other + 1 end
    end
    assert.near(3000, hits, 150)
    assert.near(900, same_as_other, 120)
  end)

  it("hits more calls, not other ones, when the share grows", function()
    local few, many = armed { probability = 0.1 }, armed { probability = 0.5 }
    for hash = 1, 2000 do
      if draw(few, hash) then assert.is_true((draw(many, hash))) end
    end
  end)

  it("delays by the latency within its variance", function()
    local e = armed { probability = 1, latency_ns = 100e6, variance_ns = 40e6 }
    local least, most = 1e9, 0
    for hash = 1, 2000 do
      local _, ns = draw(e, hash)
      least, most = math.min(least, ns), math.max(most, ns)
    end
    assert.is_true(least >= 60e6 and least < 65e6)
    assert.is_true(most <= 140e6 and most > 135e6)
  end)

  it("hits only in its scheduled windows", function()
    local k = config { probability = 1, window_count = 2 }
    k.windows[0].from_ns, k.windows[0].to_ns = 0, 10 * S
    k.windows[1].from_ns, k.windows[1].to_ns = 60 * S, 70 * S
    local e = ffi.new("struct wr_chaos")
    c.wr_chaos_init(e, k)
    c.wr_chaos_apply(e, 0, 100 * S, err)
    for _, case in ipairs { { 0, true }, { 9.9, true }, { 10, false }, { 59, false }, { 60, true },
      { 69, true }, { 70, false } } do
      assert.equal(case[2], (draw(e, 1, (100 + case[1]) * S)), case[1])
    end
  end)

  it("is ended by its guard when too many requests fail", function()
    local e = armed { probability = 1, guard_rate = 0.2, guard_min_calls = 10 }
    for _ = 1, 8 do assert.is_false(c.wr_chaos_note(e, false, 2 * S)) end
    assert.is_false(c.wr_chaos_note(e, true, 2 * S))
    assert.is_true(c.wr_chaos_note(e, true, 2 * S)) -- 2 of 10
    assert.is_false(c.wr_chaos_is_armed(e, 2 * S))
    assert.equal("guard", ffi.string(c.wr_chaos_cause_name(e.cause)))
    assert.equal("guard", told(e))
    assert.is_false(c.wr_chaos_note(e, true, 2 * S))
    assert.is_true(c.wr_chaos_apply(e, 0, 3 * S, err))
    assert.is_false(c.wr_chaos_note(e, true, 3 * S)) -- begins anew
  end)

  it("goes on over a change of options, but not beyond its new maximum", function()
    local e = armed({ probability = 1, expires_ns = 600 * S }, 300 * S)
    c.wr_chaos_reconfigure(e, config { probability = 1, expires_ns = 60 * S }, 2 * S)
    assert.is_true(c.wr_chaos_is_armed(e, 60 * S))
    assert.is_false(c.wr_chaos_is_armed(e, 61 * S))
  end)

  it("keeps what its guard has seen when the guard's window changes", function()
    local k = { probability = 1, guard_rate = 0.5, guard_min_calls = 10, guard_window_ns = 30 * S }
    local e = armed(k)
    for _ = 1, 9 do c.wr_chaos_note(e, true, 2 * S) end
    k.guard_window_ns = 60 * S
    c.wr_chaos_reconfigure(e, config(k), 3 * S)
    assert.is_true(c.wr_chaos_note(e, true, 4 * S)) -- the tenth
    assert.is_false(c.wr_chaos_is_armed(e, 4 * S))
  end)

  it("is valid after a repair whatever its bytes were", function()
    local e = ffi.new("struct wr_chaos")
    math.randomseed(3)
    for _ = 1, 300 do
      local bytes = ffi.cast("uint8_t *", e)
      for i = 0, ffi.sizeof(e) - 1 do bytes[i] = math.random(0, 255) end
      c.wr_chaos_repair(e, 1000 * S)
      assert.is_true(c.wr_chaos_config_check(e.config) == nil)
      assert.is_true(e.applied_ns <= 1000 * S)
      assert.is_false(c.wr_chaos_is_armed(e, 1000 * S + e.config.expires_ns))
      draw(e, 1, 1000 * S)
      c.wr_chaos_note(e, true, 1000 * S)
    end
  end)

  it("names the bound that an option breaks", function()
    for key, value in pairs { probability = 2, expires_ns = 1, guard_rate = 2,
      guard_window_ns = 1 } do
      local word = key:gsub("guard_rate", "failure_rate"):gsub("guard_", ""):gsub("_ns", "")
      assert.matches(word, ffi.string(c.wr_chaos_config_check(config { [key] = value })))
    end
    assert.matches("variance", ffi.string(c.wr_chaos_config_check(config { variance_ns = 5 })))
  end)
end)
