local c, ffi = require "spec.support.c" ("resilience/throttle.h", "base/rng.h")

local S = 1e9

local function new(options)
  local k = ffi.new "struct wr_throttle_config"
  c.wr_throttle_config_init(k)
  for key, value in pairs(options or {}) do k[key] = value end
  local t = ffi.new "struct wr_throttle"
  c.wr_throttle_init(t, k, 0)
  return t
end

local after = ffi.new "uint64_t[1]"

local function try(t, now) return c.wr_throttle_try(t, now, after) end

describe("throttle", function()
  -- research/resilience.md §2.6, golden vectors for K = 2: requests, accepts -> p
  it("refuses with the published probabilities", function()
    local cases = { { 100, 100, 0 }, { 100, 50, 0 }, { 100, 40, 0.198 }, { 100, 10, 0.7921 },
      { 100, 0, 0.9901 } }
    for _, case in ipairs(cases) do
      local requests, accepts, want = unpack(case)
      assert.near(want, c.wr_throttle_probability(requests, accepts, 2), 1e-4,
        ("(%d, %d)"):format(requests, accepts))
    end
  end)

  it("deals the share out evenly", function()
    local t = new { probe_ns = 3600 * S }
    for i = 1, 100 do c.wr_throttle_settle(t, i <= 40, S) end
    local refused = 0
    -- Each pair of refusal and accepted call leaves the share near where it is.
    for _ = 1, 10 do
      if not try(t, S) then refused = refused + 1 end
    end
    assert.is_true(refused >= 1 and refused <= 3, refused .. " of 10")
    assert.equal(refused, tonumber(t.counters.refused))
  end)

  it("counts what it refused as a request", function()
    local t = new { probe_ns = 3600 * S }
    for _ = 1, 100 do c.wr_throttle_settle(t, false, S) end
    local before = c.wr_throttle_share(t, S)
    local refused = 0
    for _ = 1, 100 do
      if not try(t, S) then refused = refused + 1 end
    end
    assert.is_true(refused >= 98)
    assert.is_true(c.wr_throttle_share(t, S) > before)
  end)

  it("refuses nobody while the upstream accepts half, or below min_calls", function()
    local t = new()
    for i = 1, 1000 do c.wr_throttle_settle(t, i % 2 == 0, S) end
    for _ = 1, 1000 do assert.is_true(try(t, S)) end
    t = new { min_calls = 20 }
    for _ = 1, 19 do c.wr_throttle_settle(t, false, S) end
    for _ = 1, 100 do assert.is_true(try(t, S)) end
  end)

  it("lets a call pass whenever none has for the probe time", function()
    local t = new()
    local passed = {}
    for i = 0, 599 do
      local now = i * S / 10
      if try(t, now) then
        c.wr_throttle_settle(t, false, now)
        passed[#passed + 1] = now
      else
        assert.is_true(tonumber(after[0]) <= S)
      end
    end
    for i = 2, #passed do
      -- A refusal is due only when the credit says so: at most two ticks of 100 ms later.
      assert.is_true(passed[i] - passed[i - 1] <= 1.2 * S, "call " .. i)
    end
    assert.is_true(#passed < 100, #passed .. " of 600 passed")
  end)

  it("forgets with its window, and recovers with its upstream", function()
    local t = new { window_ns = 10 * S }
    for _ = 1, 100 do c.wr_throttle_settle(t, false, S) end
    assert.is_true(c.wr_throttle_share(t, S) > 0.9)
    assert.equal(0, c.wr_throttle_share(t, 20 * S))
    for _ = 1, 100 do c.wr_throttle_settle(t, false, 21 * S) end
    for _ = 1, 100 do c.wr_throttle_settle(t, true, 22 * S) end
    assert.equal(0, c.wr_throttle_share(t, 22 * S))
  end)

  it("refuses nothing in shadow mode, and counts what it would have", function()
    local t = new { shadow = true, probe_ns = 3600 * S }
    for _ = 1, 100 do c.wr_throttle_settle(t, false, S) end
    for _ = 1, 100 do assert.is_true(try(t, S)) end
    assert.equal(0, tonumber(t.counters.refused))
    assert.equal(99, tonumber(t.counters.shadow_refused))
  end)

  it("says which bound of its configuration is broken", function()
    local k = ffi.new "struct wr_throttle_config"
    for key, value in pairs { ratio = 0.5, window_ns = 1, probe_ns = 0 } do
      c.wr_throttle_config_init(k)
      assert.is_true(c.wr_throttle_config_check(k) == nil)
      k[key] = value
      local message = ffi.string(c.wr_throttle_config_check(k))
      assert.truthy(message:find(key:gsub("_ns", ""), 1, true), message)
    end
  end)

  it("can be repaired from any bytes", function()
    local seed = os.time()
    local rng = ffi.new "struct wr_rng"
    c.wr_rng_init(rng, seed)
    for _ = 1, 500 do
      local t = ffi.new "struct wr_throttle"
      local bytes = ffi.cast("uint8_t *", t)
      for i = 0, ffi.sizeof(t) - 1 do bytes[i] = tonumber(c.wr_rng_below(rng, 256)) end
      c.wr_throttle_repair(t, 1000 * S)
      local share = c.wr_throttle_share(t, 1000 * S)
      assert.is_true(share >= 0 and share < 1, "seed " .. seed)
      assert.is_true(try(t, 1000 * S + 7200 * S), "seed " .. seed)
    end
  end)
end)
