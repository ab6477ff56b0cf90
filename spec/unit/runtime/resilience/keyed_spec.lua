local c, ffi = require "spec.support.c" ("resilience/limiter.h", "resilience/limiter_internal.h",
  "base/rng.h")

local SECOND = 1e9

local function rng(seed)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  return r
end

local keep = {} -- the memory behind the pointers

local function new(options)
  local k = ffi.new("struct wr_limiter_config")
  c.wr_limiter_config_init(k)
  for key, value in pairs(options) do k[key] = value end
  assert(c.wr_limiter_config_check(k) == nil)
  local bytes = tonumber(c.wr_limiter_bytes(k))
  local memory = ffi.new("uint64_t[?]", bytes / 8)
  local l = ffi.cast("struct wr_limiter *", memory)
  c.wr_limiter_init(l, k)
  keep[#keep + 1] = memory
  return l, bytes
end

local after = ffi.new("uint64_t[1]")

local function passes(l, key, now)
  return c.wr_limiter_try(l, key, 1, now, after) == c.WR_LIMITER_ADMITTED
end

describe("keyed table", function()
  -- A sanitizer that saw each cell of 65536 change hands often sees nothing new in the others.
  local seconds = os.getenv "WEIR_PRESET" == "asan" and 20 or 50

  it("keeps millions of distinct keys in the memory it was given", function()
    local keys = 1e5
    local l, bytes = new { limit = 10, burst = 10, max_keys = 65536 }
    local r = rng(1)
    for second = 1, seconds do
      for i = 1, keys do
        c.wr_limiter_try(l, c.wr_rng_next(r), 1, second * SECOND + i * 1e4, after)
      end
    end
    assert.equal(seconds * keys, tonumber(l.counters.admitted + l.counters.refused))
    assert.is_true(l.keys <= 65536 / 16 * 17)
    assert.equal(0, tonumber(l.counters.refused), "10^5 keys a second, each in debt for 0.1 s")
    local cell = tonumber(ffi.sizeof "struct wr_limiter_cell")
    print(("\nkeyed limiter: %d keys, %d bytes, %.1f bytes per key (sliding window %.1f)")
      :format(seconds * keys, bytes, bytes / 65536, cell * 17 / 16))
  end)

  it("never forgets a key in debt, whatever other keys come", function()
    local l = new { limit = 10, period_ns = 1000 * SECOND, burst = 10, max_keys = 64 }
    local victim = 0x123456789abcdef0ULL
    for _ = 1, 10 do assert.is_true(passes(l, victim, 0)) end
    local r = rng(2)
    for i = 1, 8000 do
      passes(l, c.wr_rng_next(r), i)
      assert.is_false(passes(l, victim, i), "after " .. i .. " other keys")
    end
    assert.is_true(tonumber(l.counters.shared) > 0, "the table was full")
  end)

  it("gives no key more than its burst, in however many cells its calls were charged", function()
    for seed = 1, 6 do
      local r = rng(seed)
      local l = new { limit = 3, period_ns = 3 * SECOND, burst = 3, max_keys = 32 }
      local passed, now = {}, 0
      for _ = 1, 30000 do
        now = now + tonumber(c.wr_rng_below(r, 2e7))
        local n = tonumber(c.wr_rng_below(r, 60)) + 1
        local hash = ffi.cast("uint64_t", n) * 0x9e3779b97f4a7c15ULL
        if passes(l, hash, now) then
          local list = passed[n] or {}
          passed[n] = list
          list[#list + 1] = now
          local fourth = list[#list - 3]
          assert.is_true(not fourth or now - fourth >= SECOND, ("seed %d key %d"):format(seed, n))
          local sixth = list[#list - 6]
          assert.is_true(not sixth or now - sixth >= 4 * SECOND, ("seed %d key %d"):format(seed, n))
        end
      end
    end
  end)

  it("makes a key that comes back under the configuration in force", function()
    local l = new { limit = 10, burst = 10, max_keys = 64 }
    assert.is_true(passes(l, 77, 0))
    local k = ffi.new("struct wr_limiter_config", l.config)
    k.limit, k.burst = 2, 2
    c.wr_limiter_reconfigure(l, k, 10 * SECOND)
    local r = rng(3)
    for i = 1, 1000 do passes(l, c.wr_rng_next(r), 10 * SECOND + i) end
    assert.is_true(passes(l, 77, 20 * SECOND))
    assert.is_true(passes(l, 77, 20 * SECOND))
    assert.is_false(passes(l, 77, 20 * SECOND))
  end)

  it("shares little while at most 70 % of it is busy", function()
    local l = new { limit = 1, period_ns = 1000 * SECOND, burst = 1, max_keys = 65536 }
    local r, n = rng(4), math.floor(65536 * 0.7)
    for i = 1, n do passes(l, c.wr_rng_next(r), i) end
    assert.is_true(tonumber(l.counters.shared) < n * 0.01, tonumber(l.counters.shared))
  end)
end)
