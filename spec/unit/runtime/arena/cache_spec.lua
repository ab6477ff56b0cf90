local c, ffi = require "spec.support.c" ("arena/cache.h", "script/guard_cache.h", "script/guard.h", "base/rng.h",
  "base/buf.h")
local open = require "spec.support.arena"

local SECOND = 1000000000ULL
local UNSET = 0xffffffffffffffffULL

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

describe("cache", function()
  local arena, registry, err, space, config
  local function declare(name)
    return c.wr_registry_declare(registry, c.WR_KIND_CACHE, str(name), config, 1, err)
  end
  before_each(function()
    arena = assert(open(c, ffi))
    registry, err = ffi.new("struct wr_registry"), ffi.new("struct wr_error")
    c.wr_guard_registry(registry, arena)
    config = ffi.new("struct wr_cache_options",
      { { 10 * SECOND, 5 * SECOND, 0 }, 100 })
    space = declare("recs")
  end)
  after_each(function() c.wr_arena_fini(arena) end)

  local function get(key, options)
    options = options or {}
    local buf = ffi.new("struct wr_buf")
    c.wr_buf_init(buf, options.max or 1000000)
    local found = ffi.new("struct wr_cache_found", { value = buf,
      allow_stale = options.stale or false })
    local result = c.wr_cache_get(arena, options.of or space, str(key), options.now or SECOND,
      found)
    local text = result ~= c.WR_CACHE_MISS and ffi.string(buf.data + buf.start, buf.len) or nil
    c.wr_buf_fini(buf)
    return result, text, found
  end
  local function stats()
    local s = ffi.new("struct wr_cache_stats")
    c.wr_cache_stats(arena, s)
    return s
  end
  local function put(key, value, now)
    local item = ffi.new("struct wr_cache_item", { key = str(key), value = str(value),
      stale_ns = UNSET })
    return c.wr_cache_set(arena, space, item, now or SECOND)
  end

  it("gives back what was stored, with tag, age and what is left", function()
    local item = ffi.new("struct wr_cache_item",
      { key = str "k", value = str "v\0v", tag = 7, stale_ns = UNSET })
    assert.is_true(c.wr_cache_set(arena, space, item, SECOND))
    local result, text, found = get("k", { now = 4 * SECOND })
    assert.equal(c.WR_CACHE_FRESH, result)
    assert.equal("v\0v", text)
    assert.equal(7, found.tag)
    assert.equal(3 * SECOND, found.age_ns)
    assert.equal(7 * SECOND, found.ttl_left_ns)
    assert.equal(12 * SECOND, found.stale_left_ns)
    assert.equal(c.WR_CACHE_MISS, (get "other"))
  end)

  it("is fresh until its ttl, then stale for those who allow it, then gone", function()
    put("k", "v")
    for _, case in ipairs {
      { 11 * SECOND - 1, false, "FRESH" }, { 11 * SECOND, false, "MISS" },
      { 11 * SECOND, true, "STALE" }, { 16 * SECOND - 1, true, "STALE" },
      { 16 * SECOND, true, "MISS" },
    } do
      assert.equal(c["WR_CACHE_" .. case[3]], (get("k", { now = case[1], stale = case[2] })))
    end
    assert.equal(0, tonumber(stats().items))
  end)

  it("lets an item have its own times", function()
    local item = ffi.new("struct wr_cache_item",
      { key = str "k", value = str "v", ttl_ns = SECOND, stale_ns = 0 })
    c.wr_cache_set(arena, space, item, SECOND)
    assert.equal(c.WR_CACHE_FRESH, (get("k", { now = 2 * SECOND - 1 })))
    assert.equal(c.WR_CACHE_MISS, (get("k", { now = 2 * SECOND, stale = true })))
  end)

  it("replaces, deletes, and keeps spaces apart", function()
    local other = declare "other"
    put("k", "one")
    put("k", "two")
    assert.equal("two", select(2, get "k"))
    assert.equal(c.WR_CACHE_MISS, (get("k", { of = other })))
    assert.equal(1, tonumber(stats().items))
    assert.is_true(c.wr_cache_delete(arena, space, str "k"))
    assert.is_false(c.wr_cache_delete(arena, space, str "k"))
    assert.equal(c.WR_CACHE_MISS, (get "k"))
  end)

  it("refuses what is too large, and forgets what it would have replaced", function()
    put("k", "old")
    local quarter = tonumber(stats().bytes_max) / c.WR_CACHE_SHARDS / 4
    assert.is_false(put("k", ("x"):rep(quarter)))
    assert.equal(c.WR_CACHE_MISS, (get "k"))
    assert.is_true(put("k", ("x"):rep(quarter - 200)))
    assert.is_false(put(("k"):rep(c.WR_CACHE_KEY_MAX + 1), "v"))
    config.space.entry_bytes = 10
    c.wr_registry_reconcile(registry, space, config, 2)
    assert.is_false(put("m", ("x"):rep(11)))
    assert.is_true(put("m", ("x"):rep(10)))
    assert.equal(3, tonumber(ffi.cast("struct wr_cache_space *", space.state).refused))
  end)

  it("is a miss when the reader's buffer has no room", function()
    put("k", ("x"):rep(100))
    assert.equal(c.WR_CACHE_MISS, (get("k", { max = 99 })))
    assert.equal(c.WR_CACHE_FRESH, (get("k", { max = 100 })))
  end)

  it("counts what happened to its space", function()
    put("k", "v")
    get "k"
    get "k"
    get("k", { now = 12 * SECOND, stale = true })
    get "none"
    local s = ffi.cast("struct wr_cache_space *", space.state)
    assert.same({ 2, 1, 1, 1 },
      { tonumber(s.hits), tonumber(s.stale), tonumber(s.misses), tonumber(s.stored) })
  end)

  it("keeps what is read when it must drop something", function()
    put("hot", "warm")
    for i = 1, 20000 do
      put("cold" .. i, ("x"):rep(200))
      if i % 50 == 0 then assert.equal(c.WR_CACHE_FRESH, (get "hot"), i) end
    end
    local s = stats()
    assert.is_true(s.evictions > 10000)
    assert.is_true(s.second_chances > 0)
    assert.is_true(s.bytes_used <= s.bytes_max)
  end)

  it("never gives a wrong value and never grows, whatever the sizes and the order", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local model, hits = {}, 0
    for step = 1, 30000 do
      local key = "k" .. tonumber(c.wr_rng_below(rng, 900))
      local dice = tonumber(c.wr_rng_below(rng, 10))
      if dice < 4 then
        local value = (key .. ":" .. step .. ";"):rep(tonumber(c.wr_rng_below(rng,
          dice == 0 and 900 or 60)))
        if not put(key, value) then value = nil end
        model[key] = value
      elseif dice == 9 then
        c.wr_cache_delete(arena, space, str(key))
        model[key] = nil
      else
        local result, text = get(key)
        if result ~= c.WR_CACHE_MISS then
          hits = hits + 1
          assert.equal(model[key], text, "seed " .. seed)
        end
      end
    end
    local s = stats()
    assert.is_true(s.bytes_used <= s.bytes_max, "seed " .. seed)
    assert.is_true(hits > 3000, "seed " .. seed)
  end)
end)
