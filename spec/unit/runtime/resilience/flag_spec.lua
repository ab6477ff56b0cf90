local c, ffi = require "spec.support.c" ("resilience/flag.h")

local S, WHOLE = 1e9, 1000000

local function str(text)
  return ffi.new("struct wr_str", { text, text and #text or 0 })
end

local function new(share)
  local f = ffi.new "struct wr_flag"
  c.wr_flag_init(f, ffi.new("struct wr_flag_config", { share = share }), 0)
  return f
end

local function place(name, key)
  local seed = ffi.new("struct wr_hash_key[1]", { c.wr_flag_seed(str(name)) })
  return c.wr_flag_place(seed, str(key))
end

local function evaluate(f, at, is_down)
  return ffi.string(c.wr_flag_result_name(c.wr_flag_evaluate(f, at, is_down or false)))
end

local function config(share)
  return ffi.new("struct wr_flag_config", { share = share })
end

describe("flag", function()
  it("is on below its share", function()
    local cases = {
      { 0, 0, "off" }, { 1, 0, "on" }, { 1, 1, "off" }, { 100000, 99999, "on" },
      { 100000, 100000, "off" }, { WHOLE, 999999, "on" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[3], evaluate(new(case[1]), case[2]))
    end
  end)

  it("gives the fallback while its check is down, but off is off", function()
    assert.equal("fallback", evaluate(new(WHOLE), 0, true))
    assert.equal("fallback", evaluate(new(10), 999999, true))
    assert.equal("off", evaluate(new(0), 0, true))
  end)

  it("counts by result", function()
    local f = new(500000)
    for i = 1, 10 do evaluate(f, i <= 3 and 0 or 999999) end
    evaluate(f, 0, true)
    assert.equal(3, tonumber(f.counts[c.WR_FLAG_ON]))
    assert.equal(7, tonumber(f.counts[c.WR_FLAG_OFF]))
    assert.equal(1, tonumber(f.counts[c.WR_FLAG_FALLBACK]))
  end)

  -- Once given out these must never change: a key's place is a promise to users over all versions.
  it("places keys where it always has", function()
    for _, golden in ipairs(require "spec.support.flag_places") do
      assert.equal(golden[3], place(golden[1], golden[2]), golden[1] .. "/" .. golden[2])
    end
  end)

  it("keeps who was in when the share grows, and spreads evenly and independently", function()
    local counts, both = { 0, 0 }, 0
    local n = 100000
    for i = 1, n do
      local a, b = place("new-search", "user-" .. i), place("new-cart", "user-" .. i)
      assert(a < WHOLE and b < WHOLE)
      if a < 100000 then
        counts[1] = counts[1] + 1
        assert(a < 200000) -- in at 10 %, in at 20 %
      end
      if a < 200000 then counts[2] = counts[2] + 1 end
      if a < 100000 and b < 100000 then both = both + 1 end
    end
    -- Five standard deviations of a binomial distribution.
    local function near(expected, p, seen)
      assert.is_true(math.abs(seen - expected) < 5 * math.sqrt(n * p * (1 - p)),
        seen .. " instead of " .. expected)
    end
    near(n * 0.1, 0.1, counts[1])
    near(n * 0.2, 0.2, counts[2])
    near(n * 0.01, 0.01, both)
  end)

  describe("overridden", function()
    local OPERATOR, SCRIPT = c.WR_FLAG_ACTOR_OPERATOR, c.WR_FLAG_ACTOR_SCRIPT

    it("keeps the override over reloads, until it is reset", function()
      local f = new(WHOLE)
      c.wr_flag_set(f, 0, OPERATOR, str "incident 7", S)
      c.wr_flag_reconfigure(f, config(500000), 2 * S)
      assert.equal(0, c.wr_flag_share(f))
      assert.equal("incident 7", ffi.string(f.why))
      c.wr_flag_reset(f, str "over", 3 * S)
      assert.equal(500000, c.wr_flag_share(f))
      c.wr_flag_reconfigure(f, config(0), 4 * S)
      assert.equal(0, c.wr_flag_share(f))
    end)

    it("lets the last one who speaks win", function()
      local f = new(0)
      c.wr_flag_set(f, WHOLE, OPERATOR, str(nil), S)
      c.wr_flag_set(f, 10, SCRIPT, str(nil), S)
      assert.equal(10, c.wr_flag_share(f))
      assert.equal(SCRIPT, f.actor)
    end)

    it("tells each change once, with who and why", function()
      local f, event = new(100000), ffi.new "struct wr_flag_event"
      assert.is_false(c.wr_flag_take_event(f, event))
      c.wr_flag_set(f, WHOLE, OPERATOR, str(("w"):rep(500)), S)
      assert.is_true(c.wr_flag_take_event(f, event))
      assert.same({ 100000, WHOLE, OPERATOR, c.WR_FLAG_WHY_MAX - 1 },
        { event.from, event.to, event.actor, #ffi.string(event.why) })
      assert.is_false(c.wr_flag_take_event(f, event))
      c.wr_flag_reconfigure(f, config(100000), 2 * S)
      assert.is_false(c.wr_flag_take_event(f, event), "nothing changed")
      c.wr_flag_reset(f, str(nil), 3 * S)
      assert.is_true(c.wr_flag_take_event(f, event))
      assert.same({ WHOLE, 100000, c.WR_FLAG_ACTOR_POLICY }, { event.from, event.to, event.actor })
      c.wr_flag_reset(f, str(nil), 3 * S)
      assert.is_false(c.wr_flag_take_event(f, event), "there was none to lift")
    end)

    it("tells changes that nobody asked about in between as one", function()
      local f, event = new(100000), ffi.new "struct wr_flag_event"
      c.wr_flag_set(f, 0, OPERATOR, str "first", S)
      c.wr_flag_set(f, WHOLE, c.WR_FLAG_ACTOR_SCRIPT, str "second", 2 * S)
      assert.is_true(c.wr_flag_take_event(f, event))
      assert.same({ 100000, WHOLE, c.WR_FLAG_ACTOR_SCRIPT, "second" },
        { event.from, event.to, event.actor, ffi.string(event.why) })
      assert.is_false(c.wr_flag_take_event(f, event))
    end)
  end)

  it("is valid after a repair, whatever its bytes were", function()
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    local f = ffi.new "struct wr_flag"
    local bytes, size = ffi.cast("uint8_t *", f), ffi.sizeof(f)
    for _ = 1, 2000 do
      for i = 0, size - 1 do bytes[i] = math.random(0, 255) end
      f.is_overridden = math.random(0, 1)
      c.wr_flag_repair(f, S)
      assert(c.wr_flag_config_check(f.config) == nil, "seed " .. seed)
      assert(c.wr_flag_share(f) <= WHOLE, "seed " .. seed)
      assert(f.is_overridden == 1 or c.wr_flag_share(f) == f.config.share, "seed " .. seed)
      assert(#ffi.string(f.why) < c.WR_FLAG_WHY_MAX, "seed " .. seed)
    end
  end)

  it("is left as it is by a repair when it is whole", function()
    local f = new(100000)
    c.wr_flag_set(f, 7, c.WR_FLAG_ACTOR_OPERATOR, str "x", S)
    evaluate(f, 3)
    local before = ffi.string(ffi.cast("char *", f), ffi.sizeof(f))
    c.wr_flag_repair(f, S)
    assert.equal(before, ffi.string(ffi.cast("char *", f), ffi.sizeof(f)))
  end)
end)
