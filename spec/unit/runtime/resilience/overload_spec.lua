local c, ffi = require "spec.support.c" ("resilience/overload.h", "base/rng.h")

local MS = 1e6
local CLASSES = { "critical", "high", "normal", "low", "background" }

local function config(options)
  return ffi.new("struct wr_overload_config", options)
end

local function pressure(options, signals)
  return c.wr_overload_pressure(config(options), ffi.new("struct wr_overload_signals", signals))
end

--- Feeds `times` ticks of a pressure; returns the time then.
local function feed(o, from, value, times)
  for i = 1, times do c.wr_overload_feed(o, value, from + i * 100 * MS) end
  return from + times * 100 * MS
end

--- How many of 1000 calls of each class are shed.
local function shed(o)
  local counts = {}
  for class = 0, 4 do
    counts[class + 1] = 0
    for _ = 1, 1000 do
      if c.wr_overload_sheds(o, class) then counts[class + 1] = counts[class + 1] + 1 end
    end
  end
  return counts
end

describe("overload", function()
  it("names the classes in the order in which they are kept", function()
    for i, word in ipairs(CLASSES) do
      assert.equal(word, ffi.string(c.wr_priority_name(i - 1)))
    end
  end)

  it("knows the signal that is nearest to its bound", function()
    local signals = { lag_ns = 20 * MS, memory_bytes = 600, memory_limit = 1000, in_flight = 30 }
    assert.near(0.4, pressure({ lag_ns = 50 * MS }, signals), 1e-9)
    assert.near(1.2, pressure({ memory_bytes = 500 }, signals), 1e-9)
    assert.near(0.75, pressure({ memory_share = 0.8 }, signals), 1e-9)
    assert.near(3, pressure({ in_flight = 10, lag_ns = 50 * MS }, signals), 1e-9)
    assert.equal(0, pressure({}, signals), "nothing counts")
    assert.equal(0, pressure({ memory_share = 0.8 }, { memory_bytes = 600 }), "limit not known")
  end)

  it("sheds the least important first, and never the critical", function()
    local o = ffi.new "struct wr_overload"
    local now = feed(o, 0, 1.5, 6)
    assert.same({ 0, 0, 0, 500, 1000 }, shed(o))
    now = feed(o, now, 1, 6)
    assert.same({ 0, 0, 1000, 1000, 1000 }, shed(o))
    feed(o, now, 100, 50)
    assert.same({ 0, 1000, 1000, 1000, 1000 }, shed(o))
  end)

  it("holds between the bound and 80 % of it, and lets go below", function()
    local o = ffi.new "struct wr_overload"
    local now = feed(o, 0, 1, 8)
    assert.equal(2, o.level)
    now = feed(o, now, 0.9, 100)
    assert.equal(2, o.level)
    now = feed(o, now, 0.5, 8)
    assert.equal(1, o.level)
    feed(o, now, 0, 8)
    assert.equal(0, o.level)
    assert.same({ 0, 0, 0, 0, 0 }, shed(o))
  end)

  it("takes one late turn for what it is", function()
    local o = ffi.new "struct wr_overload"
    feed(o, 0, 3, 1)
    assert.same({ 0, 0, 0, 0, 250 }, shed(o))
  end)

  it("reckons a late loop's longer ticks", function()
    local o = ffi.new "struct wr_overload"
    c.wr_overload_feed(o, 0, 1000 * MS)
    c.wr_overload_feed(o, 2, 1300 * MS)
    assert.equal(0.75, o.level)
    c.wr_overload_feed(o, 2, 60000 * MS)
    assert.equal(1.75, o.level, "a long silence was not all overload")
  end)

  it("can be repaired from any bytes", function()
    local seed = os.time()
    local rng = ffi.new "struct wr_rng"
    c.wr_rng_init(rng, seed)
    for _ = 1, 500 do
      local o = ffi.new "struct wr_overload"
      local bytes = ffi.cast("uint8_t *", o)
      for i = 0, ffi.sizeof(o) - 1 do bytes[i] = tonumber(c.wr_rng_below(rng, 256)) end
      c.wr_overload_repair(o, 1000 * MS)
      assert.is_true(o.level >= 0 and o.level <= 4, "seed " .. seed)
      c.wr_overload_feed(o, 1, 2000 * MS)
      assert.is_false(c.wr_overload_sheds(o, c.WR_PRIORITY_CRITICAL), "seed " .. seed)
    end
  end)
end)
