local c, ffi = require "spec.support.c" ("resilience/backoff.h")

local MS, S = 1e6, 1e9

local function config(jitter, options)
  local k = ffi.new("struct wr_backoff_config")
  c.wr_backoff_config_init(k)
  k.jitter = c["WR_BACKOFF_" .. jitter]
  for key, value in pairs(options or {}) do k[key] = value end
  assert(c.wr_backoff_config_check(k) == nil)
  return k
end

local function sequence(k, us)
  local at, out = ffi.new("struct wr_backoff"), {}
  for i, u in ipairs(us) do out[i] = tonumber(c.wr_backoff_next_at(k, at, u)) end
  return out
end

local function same(u, n)
  local us = {}
  for i = 1, n do us[i] = u end
  return us
end

local WIDE = { base_ns = S, cap_ns = 3600 * S }

describe("backoff", function()
  it("doubles from 50 ms to 1 s with full jitter by default", function()
    local k = config("FULL")
    assert.same({ 25 * MS, 50 * MS, 100 * MS, 200 * MS, 400 * MS, 500 * MS, 500 * MS },
      sequence(k, same(0.5, 7)))
    assert.same({ 0, 0 }, sequence(k, same(0, 2)))
  end)

  it("is exact without jitter", function()
    assert.same({ 50 * MS, 100 * MS, 200 * MS, 400 * MS, 800 * MS, S, S },
      sequence(config("NONE"), same(0.9, 7)))
    assert.same({ 100 * MS, 300 * MS, 900 * MS, S },
      sequence(config("NONE", { base_ns = 100 * MS, factor = 3 }), same(0, 4)))
    assert.same({ 50 * MS, 50 * MS }, sequence(config("NONE", { factor = 1 }), same(0, 2)))
    assert.same({ 0, 0 }, sequence(config("NONE", { base_ns = 0 }), same(0, 2)))
  end)

  it("follows the formulae of research/resilience.md §2.3", function()
    local cases = {
      { "EQUAL", {}, same(0, 3), { 25 * MS, 50 * MS, 100 * MS } },
      { "EQUAL", {}, same(0.5, 3), { 37.5 * MS, 75 * MS, 150 * MS } },
      { "DECORRELATED", WIDE, same(0.5, 3), { 2 * S, 3.5 * S, 5.75 * S } },
      { "DECORRELATED", WIDE, same(0, 3), { S, S, S } },
      { "RATIO", { base_ns = S, cap_ns = 3600 * S, ratio = 0.5 }, same(0, 2), { 0.5 * S, S } },
      { "RATIO", { base_ns = S, cap_ns = 3600 * S, ratio = 0.5 }, same(0.5, 2), { S, 2 * S } },
      { "RATIO", { base_ns = S, cap_ns = 3600 * S, ratio = 0.25, factor = 1 }, same(0, 1),
        { 0.75 * S } },
    }
    for _, case in ipairs(cases) do
      assert.same(case[4], sequence(config(case[1], case[2]), case[3]), case[1])
    end
  end)

  it("reproduces the golden vectors of the smooth jitter", function()
    local vectors = {
      { 0.5, { 0.8974, 1.0930, 2.0357, 4.0460, 8.0836, 16.1637 } },
      { 0, { 0, 1.3772, 1.4601, 2.8658, 5.7178 } },
      { 0.25, { 0.6469, 1.0136, 1.7204, 3.4045, 6.7984 } },
    }
    for _, vector in ipairs(vectors) do
      local got = sequence(config("SMOOTH", WIDE), same(vector[1], #vector[2]))
      for i, want in ipairs(vector[2]) do
        assert.is_true(math.abs(got[i] / S - want) <= 0.00005,
          ("u=%g attempt %d: %.4f, not %.4f"):format(vector[1], i, got[i] / S, want))
      end
    end
  end)

  it("keeps clients that reached the cap apart, and none above it", function()
    for _, jitter in ipairs { "FULL", "EQUAL", "DECORRELATED", "RATIO", "SMOOTH" } do
      local k = config(jitter)
      local low = sequence(k, same(0.2, 30))[30]
      local high = sequence(k, same(0.8, 30))[30]
      assert.is_true(high - low >= 100 * MS, jitter .. " bunches at the cap: " .. low .. " "
        .. high)
      local last = 0
      for _, u in ipairs { 0.3, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99 } do
        local us = same(0.9, 29)
        us[30] = u
        local delay = sequence(k, us)[30]
        assert.is_true(delay > last, jitter .. " gives two draws the same delay at the cap")
        last = delay
      end
      assert.is_true(sequence(k, same(1 - 2 ^ -53, 30))[30] <= S, jitter .. " exceeds the cap")
    end
  end)

  it("stays finite and within the cap for any attempt, whatever is drawn", function()
    local seed = os.time()
    math.randomseed(seed)
    for _, jitter in ipairs { "NONE", "FULL", "EQUAL", "DECORRELATED", "RATIO", "SMOOTH" } do
      for _, base in ipairs { 0, 1, 50 * MS, S } do
        local k = config(jitter, { base_ns = base, factor = 1 + math.random() * 9 })
        local at = ffi.new("struct wr_backoff")
        for attempt = 0, 200 do
          at.attempt = attempt < 150 and attempt or math.random(1e6)
          local delay = tonumber(c.wr_backoff_next_at(k, at, math.random()))
          assert.is_true(delay >= 0 and delay <= S,
            ("seed %d: %s %d"):format(seed, jitter, attempt))
        end
        at.attempt = 1e6
        assert.is_true(tonumber(c.wr_backoff_next_at(k, at, 0.5)) <= S)
        at.attempt = 2 ^ 32 - 1
        c.wr_backoff_next_at(k, at, 0.5)
        assert.equal(2 ^ 32 - 1, at.attempt, "the attempt number saturates")
      end
    end
  end)

  it("names the bound that a configuration breaks", function()
    local cases = {
      { { base_ns = 2 * S }, "must not exceed the longest" }, { { factor = 0.5 }, "factor" },
      { { factor = 0 / 0 }, "factor" }, { { ratio = 1.1 }, "ratio" }, { { jitter = 99 }, "jitter" },
      { { cap_ns = 4e17 }, "10 years" },
    }
    for _, case in ipairs(cases) do
      local k = config("FULL")
      for key, value in pairs(case[1]) do k[key] = value end
      assert.truthy(ffi.string(c.wr_backoff_config_check(k)):find(case[2], 1, true), case[2])
    end
  end)
end)
