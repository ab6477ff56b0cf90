local c, ffi = require "spec.support.c" ("resilience/limiter.h", "base/rng.h")

local MS, SECOND = 1e6, 1e9
local NEVER = 0xffffffffffffffffULL

local function config(options)
  local k = ffi.new("struct wr_limiter_config")
  c.wr_limiter_config_init(k)
  for key, value in pairs(options or {}) do
    if key ~= "wait_ns" then k[key] = value end
  end
  return k
end

local anchors = {} -- the memory behind the pointers
local longest = {} -- limiter -> the longest wait of its calls, in seconds

local function allocate(k)
  local memory = ffi.new("uint64_t[?]", tonumber(c.wr_limiter_bytes(k)) / 8)
  local l = ffi.cast("struct wr_limiter *", memory)
  anchors[#anchors + 1] = memory
  return l
end

local function new(options)
  local k = config(options)
  assert.is_true(c.wr_limiter_config_check(k) == nil)
  local l = allocate(k)
  c.wr_limiter_init(l, k)
  longest[tostring(l)] = (options or {}).wait_ns
  return l
end

local function name(result)
  return ffi.string(c.wr_limiter_result_name(result))
end

local after = ffi.new("uint64_t[1]")

--- result, and what it says to wait, in seconds
local function try(l, at, key, cost)
  local result = c.wr_limiter_try(l, key or 0, cost or 1, at * SECOND, after)
  return name(result), tonumber(after[0]) / SECOND
end

local function wait(l, at, options)
  options = options or {}
  local w = ffi.new("struct wr_limiter_waiter")
  local till = at * SECOND + (longest[tostring(l)] or 0)
  if options.till then till = math.min(till, options.till * SECOND) end
  c.wr_limiter_waiter_init(w, options.key or 0, options.cost or 1, till)
  anchors[#anchors + 1] = w
  return name(c.wr_limiter_wait(l, w, at * SECOND, after)), w
end

--- Whom `grant` tells at that time: "2 in", "3 out", …
local function grants(l, at, waiters)
  local list, is_in = {}, ffi.new("bool[1]")
  while true do
    local w = c.wr_limiter_grant(l, at * SECOND, is_in)
    if w == nil then return list end
    for i, mine in pairs(waiters) do
      if mine == w then list[#list + 1] = i .. (is_in[0] and " in" or " out") end
    end
  end
end

local function next_at(l)
  local ns = c.wr_limiter_next_ns(l)
  return ns ~= NEVER and tonumber(ns) / SECOND or nil
end

local function left(l, at, key)
  local look = ffi.new("struct wr_limiter_look")
  c.wr_limiter_look(l, key or 0, at * SECOND, look)
  return look.left, tonumber(look.reset_ns) / SECOND
end

describe("limiter", function()
  it("passes a burst, then its rate, and says when", function()
    local l = new { limit = 10, burst = 5 }
    for _ = 1, 5 do assert.equal("admitted", (try(l, 0))) end
    local result, when = try(l, 0)
    assert.equal("limited", result)
    assert.near(0.1, when, 1e-9)
    assert.equal("admitted", (try(l, 0.1)))
    assert.same({ 5, 1 }, { tonumber(l.counters.admitted) - 1, tonumber(l.counters.refused) })
  end)

  it("says that a cost is above what may ever be spent", function()
    assert.equal("too_costly", (try(new { burst = 5 }, 0, 0, 6)))
    assert.equal("too_costly", (try(new { limit = 5, algorithm = c.WR_LIMITER_SLIDING }, 0, 0, 6)))
  end)

  it("refuses configurations out of bounds", function()
    local cases = {
      { limit = 0 }, { burst = 0 }, { limit = 1000001 }, { period_ns = 1 },
      { limit = 2, period_ns = 1 * MS, burst = 1000001 }, { limit = 1001, period_ns = 1 * MS },
      { limit = 1, burst = 1000000, period_ns = 3600 * SECOND },
      { max_keys = 1048577 }, { algorithm = 2 },
      { algorithm = c.WR_LIMITER_SLIDING, period_ns = 500 * MS },
    }
    for i, options in ipairs(cases) do
      assert.is_true(c.wr_limiter_config_check(config(options)) ~= nil, "case " .. i)
    end
  end)

  it("refuses at once when the wait cannot succeed", function()
    local l = new { limit = 10, burst = 1, wait_ns = 250 * MS }
    try(l, 0)
    local results = {}
    for i = 1, 4 do results[i] = wait(l, 0) end
    assert.same({ "queued", "queued", "limited", "limited" }, results)
    assert.near(0.3, tonumber(after[0]) / SECOND, 1e-9)
    assert.equal("limited", (wait(l, 0, { till = 0.05 })), "its own deadline is too near")
    assert.equal(2, l.waiting)
  end)

  it("admits waiters first come, first served, when they are due", function()
    local l = new { limit = 10, burst = 1, wait_ns = SECOND }
    try(l, 0)
    local w, _ = {}, nil
    for i = 1, 3 do _, w[i] = wait(l, 0) end
    assert.near(0.1, next_at(l), 1e-9)
    assert.same({}, grants(l, 0.099, w))
    assert.same({ "1 in" }, grants(l, 0.1, w))
    assert.equal("limited", (try(l, 0.2)), "nobody overtakes")
    assert.same({ "2 in" }, grants(l, 0.2, w))
    assert.same({ "3 in" }, grants(l, 0.3, w))
    assert.equal(nil, next_at(l))
  end)

  it("moves those behind a waiter up when it leaves", function()
    local l = new { limit = 10, burst = 1, wait_ns = SECOND }
    try(l, 0)
    local w, _ = {}, nil
    for i = 1, 4 do _, w[i] = wait(l, 0) end
    c.wr_limiter_leave(l, w[1], 0.05 * SECOND)
    c.wr_limiter_leave(l, w[3], 0.05 * SECOND)
    assert.near(0.1, tonumber(w[2].due_ns) / SECOND, 1e-9)
    assert.near(0.2, tonumber(w[4].due_ns) / SECOND, 1e-9)
    assert.same({ "2 in" }, grants(l, 0.1, w))
    assert.same({ "4 in" }, grants(l, 0.2, w))
    assert.equal(2, tonumber(l.counters.left))
    assert.equal("admitted", (try(l, 0.3)), "who left owes nothing")
  end)

  it("keeps its rate under a late timer, lets no crowd through after a stall", function()
    local l = new { limit = 10, burst = 1, wait_ns = 10 * SECOND }
    try(l, 0)
    local w, _ = {}, nil
    for i = 1, 20 do _, w[i] = wait(l, 0) end
    for i = 1, 5 do assert.same({ i .. " in" }, grants(l, i * 0.1 + 0.04, w)) end
    assert.same({ "6 in", "7 in" }, grants(l, 1.5, w))
    assert.same({}, grants(l, 1.55, w))
  end)

  it("keeps keys apart", function()
    local l = new { limit = 10, burst = 2, wait_ns = SECOND, max_keys = 64 }
    for key = 1, 3 do
      for _ = 1, 2 do assert.equal("admitted", (try(l, 0, key))) end
      assert.equal("limited", (try(l, 0, key)))
    end
    assert.equal("admitted", (try(l, 0)), "calls without a key owe on their own")
    local _, a = wait(l, 0, { key = 1 })
    local _, b = wait(l, 0, { key = 1 })
    local _, d = wait(l, 0, { key = 2 })
    assert.same({ "1 in", "3 in" }, grants(l, 0.1, { a, b, d }))
    assert.same({ "2 in" }, grants(l, 0.2, { a, b, d }))
  end)

  it("drains: nothing passes before, who waits waits longer or is told", function()
    local l = new { limit = 10, burst = 5, wait_ns = SECOND, max_keys = 64 }
    for _ = 1, 5 do try(l, 0, 7) end
    local _, short = wait(l, 0, { key = 7, till = 0.3 })
    local _, long = wait(l, 0, { key = 7 })
    c.wr_limiter_drain(l, 7, 0.5 * SECOND, 0)
    assert.same({ "1 out" }, grants(l, 0.01, { short, long }))
    assert.same({ "2 in" }, grants(l, 0.5, { short, long }))
    c.wr_limiter_drain(l, 7, 30 * SECOND, 1 * SECOND)
    c.wr_limiter_drain(l, 7, 2 * SECOND, 1 * SECOND)
    local result, when = try(l, 1, 7)
    assert.equal("limited", result)
    assert.near(29, when, 1e-9)
    assert.equal("admitted", (try(l, 1, 8)), "another key")
    assert.same({ 0, 29 }, { left(l, 1, 7) })
    assert.equal("admitted", (try(l, 30, 7)))
  end)

  it("keeps debts as numbers of calls when its rate changes, and drains as times", function()
    local l = new { limit = 10, burst = 10, max_keys = 64 }
    for _ = 1, 8 do try(l, 0, 5) end
    c.wr_limiter_drain(l, 6, 5 * SECOND, 0)
    c.wr_limiter_reconfigure(l, config { limit = 20, burst = 20, max_keys = 64 }, 0)
    assert.equal(12, (left(l, 0, 5)))
    c.wr_limiter_reconfigure(l, config { limit = 1, burst = 4, max_keys = 64 }, 0)
    assert.equal(0, (left(l, 0, 5)))
    local _, when = try(l, 0, 5)
    assert.near(5, when, 1e-9, "eight owed, four allowed, one a second")
    _, when = try(l, 0, 6)
    assert.near(5, when, 1e-9)
  end)

  it("moves waiters with the rate", function()
    local l = new { limit = 10, burst = 1, wait_ns = 500 * MS }
    try(l, 0)
    local w, _ = {}, nil
    for i = 1, 4 do _, w[i] = wait(l, 0) end
    c.wr_limiter_reconfigure(l, config { limit = 100, burst = 1 }, 0)
    assert.near(0.02, tonumber(w[2].due_ns) / SECOND, 1e-9)
    c.wr_limiter_reconfigure(l, config { limit = 4, burst = 1 }, 0)
    assert.same({ "2 out", "3 out", "4 out" }, grants(l, 0, w), "they would wait in vain")
    assert.same({ "1 in" }, grants(l, 0.25, w))
  end)

  it("keeps debts when its table changes its size or its algorithm", function()
    local old = new { limit = 10, period_ns = 1000 * SECOND, burst = 10, max_keys = 4096 }
    for key = 1, 200 do
      for _ = 1, key % 10 do try(old, 0, ffi.cast("uint64_t", key) * 0x9e3779b97f4a7c15ULL) end
    end
    local shapes = {
      { limit = 10, period_ns = 1000 * SECOND, burst = 10, max_keys = 8192 },
      { limit = 10, period_ns = 1000 * SECOND, burst = 10, max_keys = 64 },
      { limit = 10, period_ns = 1000 * SECOND, max_keys = 4096, algorithm = c.WR_LIMITER_SLIDING },
    }
    for i, shape in ipairs(shapes) do
      local k = config(shape)
      local l = allocate(k)
      c.wr_limiter_move(l, old, k, 0)
      for key = 1, 200 do
        local got = left(l, 0, ffi.cast("uint64_t", key) * 0x9e3779b97f4a7c15ULL)
        assert.is_true(got <= 10 - key % 10, ("shape %d key %d: %d"):format(i, key, got))
        if i ~= 2 then assert.equal(10 - key % 10, got) end
      end
    end
  end)

  it("knows whom it refuses most, and still does after it has moved", function()
    local old = new { limit = 10, period_ns = 1000 * SECOND, burst = 1, max_keys = 64 }
    for key, times in pairs { [5] = 4, [6] = 2, [7] = 1 } do
      for _ = 1, times do try(old, 0, key) end
    end
    local l = allocate(config { limit = 10, period_ns = 1000 * SECOND, burst = 1, max_keys = 128 })
    c.wr_limiter_move(l, old, config { limit = 10, period_ns = 1000 * SECOND, burst = 1,
      max_keys = 128 }, 0)
    for _, limiter in ipairs { old, l } do
      local top = ffi.new "struct wr_toplist_entry[8]"
      assert.equal(2, tonumber(c.wr_toplist_read(limiter.refused, 0, top)))
      assert.same({ 5, 3, 6, 1 }, { tonumber(top[0].key), tonumber(top[0].count),
        tonumber(top[1].key), tonumber(top[1].count) })
    end
  end)

  it("counts in shadow what it would have done, and refuses nothing", function()
    local l = new { limit = 10, burst = 2, wait_ns = 150 * MS, shadow = true }
    for _ = 1, 3 do assert.equal("admitted", (try(l, 0))) end
    assert.equal(1, tonumber(l.counters.shadow_refused))
    assert.equal("admitted", (wait(l, 0)))
    assert.equal("admitted", (wait(l, 0)))
    assert.equal(1, tonumber(l.counters.shadow_queued))
    assert.equal(2, tonumber(l.counters.shadow_refused))
    assert.equal(5, tonumber(l.counters.admitted))
  end)

  it("bounds who waits", function()
    local l = new { limit = 1000, burst = 1, wait_ns = 3600 * SECOND }
    try(l, 0)
    for _ = 1, 1024 do
      assert.equal("queued", (wait(l, 0)))
    end
    assert.equal("queue_full", (wait(l, 0)))
  end)

  it("lets sliding windows wait too", function()
    local l = new { limit = 4, algorithm = c.WR_LIMITER_SLIDING, wait_ns = 10 * SECOND }
    for _ = 1, 4 do try(l, 0) end
    local w, _ = {}, nil
    for i = 1, 5 do _, w[i] = wait(l, 0) end
    assert.near(1.125, next_at(l), 1e-9)
    assert.same({ "1 in", "2 in", "3 in", "4 in" }, grants(l, 1.125, w))
    assert.near(2.25, next_at(l), 1e-9)
  end)

  it("is valid after a repair of arbitrary bytes", function()
    local r = ffi.new("struct wr_rng")
    c.wr_rng_init(r, 5)
    for algorithm = 0, 1 do
      for _ = 1, 30 do
        local k = config { limit = 10, burst = 5, max_keys = 40, algorithm = algorithm }
        local l = allocate(k)
        local bytes = ffi.cast("uint8_t *", l)
        for i = 0, tonumber(c.wr_limiter_bytes(k)) - 1 do
          bytes[i] = tonumber(c.wr_rng_below(r, 256))
        end
        c.wr_limiter_repair(l, k, 100 * SECOND)
        assert.equal(0, l.waiting)
        for key = 1, 100 do
          local result, when = try(l, 100, key)
          assert.is_true(result == "admitted" or when <= 3600 + 2.5, when)
        end
        assert.is_false(c.wr_limiter_is_idle(l, 100 * SECOND))
        assert.is_true(c.wr_limiter_is_idle(l, 5000 * SECOND))
      end
    end
  end)
end)
