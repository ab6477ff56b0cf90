local c, ffi = require "spec.support.c" ("resilience/window.h", "base/rng.h")

local S = 1e9
local TIME, COUNT = c.WR_WINDOW_TIME, c.WR_WINDOW_COUNT

local function new(kind, size)
  local w = ffi.new("struct wr_window")
  c.wr_window_init(w, kind, size)
  return w
end

local function sum(w, now)
  local s = c.wr_window_sum(w, now or 0)
  return { s.total, s.failure, s.slow }
end

local function add(w, now, n, failure, slow)
  for _ = 1, n do c.wr_window_add(w, now, failure or false, slow or false) end
end

local function rng(seed)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  return function(bound) return tonumber(c.wr_rng_below(r, bound)) end
end

describe("count window", function()
  it("remembers the last N calls and what they were", function()
    local w = new(COUNT, 3)
    add(w, 0, 1, true, true)
    add(w, 0, 1, true, false)
    assert.same({ 2, 2, 1 }, sum(w))
    add(w, 0, 1, false, true)
    assert.same({ 3, 2, 2 }, sum(w))
    add(w, 0, 1)
    assert.same({ 3, 1, 1 }, sum(w), "the first call is forgotten")
    add(w, 0, 2)
    assert.same({ 3, 0, 0 }, sum(w))
  end)

  it("does not forget by time", function()
    local w = new(COUNT, 5)
    add(w, 0, 5, true)
    assert.same({ 5, 5, 0 }, sum(w, 1e18))
  end)

  it("holds one call, and as many as its maximum", function()
    local one = new(COUNT, 1)
    add(one, 0, 3, true)
    add(one, 0, 1)
    assert.same({ 1, 0, 0 }, sum(one))
    local most = new(COUNT, c.WR_WINDOW_CALLS_MAX)
    add(most, 0, 2000, true)
    assert.same({ 1024, 1024, 0 }, sum(most))
  end)

  it("keeps the newest calls that fit when its size changes", function()
    local w = new(COUNT, 10)
    add(w, 0, 7, true)
    add(w, 0, 5)
    c.wr_window_reshape(w, COUNT, 6, 0)
    assert.same({ 6, 1, 0 }, sum(w))
    c.wr_window_reshape(w, COUNT, 100, 0)
    assert.same({ 6, 1, 0 }, sum(w))
    add(w, 0, 1, true, true)
    assert.same({ 7, 2, 1 }, sum(w))
  end)

  it("counts like a list of the last N, whatever happens to it", function()
    local seed = os.time()
    local below = rng(seed)
    for _ = 1, 20 do
      local size = 1 + below(200)
      local w, model = new(COUNT, size), {}
      for _ = 1, 600 do
        if below(50) == 0 then
          size = 1 + below(200)
          c.wr_window_reshape(w, COUNT, size, 0)
        else
          local failure, slow = below(2) == 1, below(3) == 1
          c.wr_window_add(w, 0, failure, slow)
          model[#model + 1] = { failure, slow }
        end
        while #model > size do table.remove(model, 1) end
        local failures, slows = 0, 0
        for _, call in ipairs(model) do
          failures = failures + (call[1] and 1 or 0)
          slows = slows + (call[2] and 1 or 0)
        end
        assert.same({ #model, failures, slows }, sum(w), "seed " .. seed)
      end
    end
  end)
end)

describe("time window", function()
  it("forgets a tenth at a time", function()
    local w = new(TIME, 10 * S)
    add(w, 0.5 * S, 4, true)
    add(w, 5 * S, 2, false, true)
    assert.same({ 6, 4, 2 }, sum(w, 9.9 * S))
    assert.same({ 2, 0, 2 }, sum(w, 10 * S))
    assert.same({ 0, 0, 0 }, sum(w, 15 * S))
  end)

  it("sees failures on both sides of a slot's edge together", function()
    local w = new(TIME, 10 * S)
    add(w, 0.99 * S, 4, true)
    add(w, 1.01 * S, 4, true)
    assert.same({ 8, 8, 0 }, sum(w, 1.02 * S))
  end)

  it("is empty after a gap of its span or much more", function()
    for _, gap in ipairs { 10 * S, 11 * S, 1e6 * S } do
      local w = new(TIME, 10 * S)
      add(w, 3 * S, 5, true)
      assert.same({ 0, 0, 0 }, sum(w, 3 * S + gap))
      add(w, 3 * S + gap, 1, true)
      assert.same({ 1, 1, 0 }, sum(w, 3 * S + gap))
    end
  end)

  it("counts a call of a clock that is a little behind into the newest slot", function()
    local w = new(TIME, 10 * S)
    add(w, 20 * S, 1, true)
    add(w, 19 * S, 1, true)
    assert.same({ 2, 2, 0 }, sum(w, 18 * S))
    assert.same({ 2, 2, 0 }, sum(w, 29.9 * S))
    assert.same({ 0, 0, 0 }, sum(w, 30 * S))
  end)

  it("keeps what is inside the new span when the span changes", function()
    local w = new(TIME, 10 * S)
    for second = 0, 9 do add(w, second * S, 1, true) end
    c.wr_window_reshape(w, TIME, 20 * S, 9 * S)
    assert.same({ 10, 10, 0 }, sum(w, 9 * S), "a longer one keeps all")
    local short = new(TIME, 10 * S)
    for second = 0, 9 do add(short, second * S, 1, true) end
    c.wr_window_reshape(short, TIME, 5 * S, 9.9 * S)
    local kept = sum(short, 9.9 * S)[1]
    assert.equal(5, kept, "a shorter one keeps its seconds")
    assert.same({ 0, 0, 0 }, sum(short, 15 * S))
  end)

  it("starts empty when its kind changes", function()
    local w = new(TIME, 10 * S)
    add(w, 0, 5, true)
    c.wr_window_reshape(w, COUNT, 10, 0)
    assert.same({ 0, 0, 0 }, sum(w))
    add(w, 0, 5, true)
    c.wr_window_reshape(w, TIME, 10 * S, 0)
    assert.same({ 0, 0, 0 }, sum(w))
  end)

  it("covers between nine tenths and all of its span", function()
    local seed = os.time()
    local below = rng(seed)
    for _ = 1, 20 do
      local span = 10 * (1 + below(1000))
      local w, calls, now = new(TIME, span), {}, below(1e6)
      for _ = 1, 300 do
        now = now + below(span / 4)
        local failure = below(2) == 1
        c.wr_window_add(w, now, failure, false)
        calls[#calls + 1] = { now, failure }
        local least, most = 0, 0
        for _, call in ipairs(calls) do
          if call[2] and now - call[1] < span * 0.9 then least = least + 1 end
          if call[2] and now - call[1] < span then most = most + 1 end
        end
        local got = sum(w, now)[2]
        assert.is_true(got >= least and got <= most,
          ("seed %d: %d not in %d..%d"):format(seed, got, least, most))
      end
    end
  end)
end)

describe("window repair", function()
  local function is_valid(w, now)
    local s = c.wr_window_sum(w, now)
    return s.failure <= s.total and s.slow <= s.total
  end

  it("makes valid what a lock holder left half done, whatever its bytes are", function()
    local seed = os.time()
    local below = rng(seed)
    for round = 1, 400 do
      local kind = below(2) == 0 and TIME or COUNT
      local size = kind == TIME and 10 * S or 1 + below(1024)
      local w, now = new(kind, size), 1000 * S
      add(w, now, below(50), true, true)
      local bytes = ffi.cast("uint8_t *", w)
      for _ = 1, below(200) do bytes[below(ffi.sizeof "struct wr_window")] = below(256) end
      c.wr_window_repair(w, kind, size, now)
      assert.is_true(is_valid(w, now), ("seed %d round %d"):format(seed, round))
      local before = sum(w, now)
      add(w, now, 1, true)
      add(w, now + 9 * S, 1, true)
      assert.is_true(is_valid(w, now + 9 * S), ("seed %d round %d"):format(seed, round))
      if kind == COUNT then assert.is_true(sum(w)[1] <= size) end
      if kind == TIME then assert.same({ 0, 0, 0 }, sum(w, now + 30 * S)) end
      assert.is_true(before[1] >= 0)
    end
  end)

  it("recomputes sums and keeps the calls", function()
    for kind, size in pairs { [COUNT] = 20, [TIME] = 10 * S } do
      local w = new(kind, size)
      add(w, 5 * S, 7, true)
      add(w, 5 * S, 3, false, true)
      if kind == COUNT then
        w.ring.sum.failure = 12345
      else
        w.rolling.sum[1] = 12345
      end
      c.wr_window_repair(w, kind, size, 5 * S)
      assert.same({ 10, 7, 3 }, sum(w, 5 * S))
    end
  end)
end)
