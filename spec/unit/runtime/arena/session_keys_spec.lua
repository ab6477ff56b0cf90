local c, ffi = require "spec.support.c" ("arena/session_keys.h")

local PERIOD, T0 = 3600 * 1e9, 1e12

describe("session keys", function()
  local k, entropy, drawn

  -- Every draw is a number nobody has had.
  setup(function()
    entropy = ffi.cast("uint64_t (*)(void)", function()
      drawn = drawn + 1
      return drawn
    end)
  end)
  teardown(function() entropy:free() end)

  before_each(function()
    drawn = 0
    k = ffi.new "struct wr_session_keys"
  end)

  local function renew(now, period) c.wr_session_keys_renew(k, now, period or PERIOD, entropy) end

  -- The bytes of the keys of use, newest first.
  local function read()
    local keys = ffi.new("struct wr_session_key[?]", c.WR_SESSION_KEYS)
    local list = {}
    for i = 1, tonumber(c.wr_session_keys_read(k, keys)) do
      list[i] = ffi.string(keys + i - 1, ffi.sizeof "struct wr_session_key")
    end
    return list
  end

  it("are none before the first is made, then one, then two", function()
    assert.same({}, read())
    renew(T0)
    local first = read()
    assert.equal(1, #first)
    renew(T0 + PERIOD)
    local both = read()
    assert.equal(2, #both)
    assert.equal(first[1], both[2])
    assert.not_equal(both[1], both[2])
  end)

  it("are made anew when a period is over, not before", function()
    renew(T0)
    local before = read()
    renew(T0 + PERIOD - 1)
    assert.same(before, read())
    renew(T0 + PERIOD)
    assert.equal(2, #read())
    -- Late is counted from when it was made.
    renew(T0 + 5 * PERIOD)
    local now = read()
    renew(T0 + 6 * PERIOD - 1)
    assert.same(now, read())
  end)

  it("take another period from the next key on", function()
    renew(T0)
    renew(T0 + PERIOD, 10e9)
    assert.equal(10e9, tonumber(k.period_ns))
    local before = read()
    renew(T0 + PERIOD + 10e9 - 1, 10e9)
    assert.same(before, read())
    renew(T0 + PERIOD + 10e9, 10e9)
    assert.equal(before[1], read()[2])
  end)

  it("differ in every part, and leave the ring's other slots alone", function()
    local seen = {}
    for i = 0, 9 do
      renew(T0 + i * PERIOD)
      local newest = read()[1]
      assert.is_nil(seen[newest])
      seen[newest] = true
      local count = 0
      for slot = 0, c.WR_SESSION_KEYS_RING - 1 do
        if seen[ffi.string(k.ring + slot, ffi.sizeof "struct wr_session_key")] then
          count = count + 1
        end
      end
      assert.equal(math.min(i + 1, tonumber(c.WR_SESSION_KEYS_RING)), count)
    end
    assert.equal(10 * ffi.sizeof "struct wr_session_key" / 8, drawn)
  end)

  it("need as much memory as they say", function()
    assert.equal(ffi.sizeof "struct wr_session_keys", tonumber(c.wr_session_keys_size()))
  end)
end)
