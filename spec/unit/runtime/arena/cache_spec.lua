local c, ffi = require "spec.support.c" (
  "arena/cache.h", "script/guard_cache.h", "script/guard.h", "base/rng.h",
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

  local function key_of(key, options)
    return ffi.new("struct wr_cache_key", { (options or {}).of or space, str(key),
      (options or {}).failure or false })
  end
  local function get(key, options)
    options = options or {}
    local buf = ffi.new("struct wr_buf")
    c.wr_buf_init(buf, options.max or 1000000)
    local found = ffi.new("struct wr_cache_found", { value = buf,
      allow_stale = options.stale or false })
    local result = c.wr_cache_get(arena, key_of(key, options), options.now or SECOND, found)
    local text = result ~= c.WR_CACHE_NONE and ffi.string(buf.data + buf.start, buf.len) or nil
    c.wr_buf_fini(buf)
    return result, text, found
  end
  local function stats()
    local s = ffi.new("struct wr_cache_stats")
    c.wr_cache_stats(arena, s)
    return s
  end
  local function put(key, value, options)
    options = options or {}
    local tags = ffi.new("struct wr_str[8]")
    for i, tag in ipairs(options.tags or {}) do tags[i - 1] = str(tag) end
    local item = ffi.new("struct wr_cache_item", { at = key_of(key, options), value = str(value),
      stale_ns = options.stale or UNSET, ttl_ns = options.ttl or 0, form = options.form or 0,
      tags = tags, tag_count = #(options.tags or {}), stamp = options.stamp or 0 })
    if options.only_stamp then return c.wr_cache_stamp(arena, item) end
    local event = c.wr_cache_set(arena, item, options.now or SECOND)
    return ffi.string(c.wr_cache_event_name(event))
  end
  local function stamp(key, tags) return put(key, "", { tags = tags, only_stamp = true }) end

  it("gives back what was stored, with form, age and what is left", function()
    assert.equal("stored", put("k", "v\0v", { form = 7 }))
    local result, text, found = get("k", { now = 4 * SECOND })
    assert.equal(c.WR_CACHE_IS_FRESH, result)
    assert.equal("v\0v", text)
    assert.equal(7, found.form)
    assert.equal(3 * SECOND, found.age_ns)
    assert.equal(7 * SECOND, found.ttl_left_ns)
    assert.equal(12 * SECOND, found.stale_left_ns)
    assert.equal(c.WR_CACHE_NONE, (get "other"))
  end)

  it("is fresh until its ttl, then stale for those who allow it, then gone", function()
    put("k", "v")
    for _, case in ipairs {
      { 11 * SECOND - 1, false, "IS_FRESH" }, { 11 * SECOND, false, "NONE" },
      { 11 * SECOND, true, "IS_STALE" }, { 16 * SECOND - 1, true, "IS_STALE" },
      { 16 * SECOND, true, "NONE" },
    } do
      assert.equal(c["WR_CACHE_" .. case[3]], (get("k", { now = case[1], stale = case[2] })))
    end
    assert.equal(0, tonumber(stats().items))
  end)

  it("lets an item have its own times", function()
    put("k", "v", { ttl = SECOND, stale = 0 })
    assert.equal(c.WR_CACHE_IS_FRESH, (get("k", { now = 2 * SECOND - 1 })))
    assert.equal(c.WR_CACHE_NONE, (get("k", { now = 2 * SECOND, stale = true })))
  end)

  it("replaces, deletes, and keeps spaces apart", function()
    local other = declare "other"
    put("k", "one")
    put("k", "two")
    assert.equal("two", select(2, get "k"))
    assert.equal(c.WR_CACHE_NONE, (get("k", { of = other })))
    assert.equal(1, tonumber(stats().items))
    assert.is_true(c.wr_cache_purge(arena, space, str "k"))
    assert.is_false(c.wr_cache_purge(arena, space, str "k"))
    assert.equal(c.WR_CACHE_NONE, (get "k"))
  end)

  it("refuses what is too large, and forgets what it would have replaced", function()
    put("k", "old")
    local max = tonumber(stats().item_bytes_max)
    assert.equal("too_large", put("k", ("x"):rep(max)))
    assert.equal(c.WR_CACHE_NONE, (get "k"))
    assert.equal("stored", put("k", ("x"):rep(max - 200)))
    assert.equal("too_large", put(("k"):rep(c.WR_CACHE_KEY_MAX + 1), "v"))
    config.space.entry_bytes = 10
    c.wr_registry_reconcile(registry, space, config, 2)
    assert.equal("too_large", put("m", ("x"):rep(11)))
    assert.equal("stored", put("m", ("x"):rep(10)))
  end)

  it("keeps a value and a failure under one key apart, and purges both", function()
    put("k", "good")
    put("k", "bad", { failure = true })
    assert.equal("good", select(2, get "k"))
    assert.equal("bad", select(2, get("k", { failure = true })))
    c.wr_cache_purge(arena, space, str "k")
    assert.equal(c.WR_CACHE_NONE, (get "k"))
    assert.equal(c.WR_CACHE_NONE, (get("k", { failure = true })))
  end)

  it("purges by tag, whatever the number of items, and only in its space", function()
    local other = declare "other"
    for i = 1, 100 do put("k" .. i, "v", { tags = { "all", "n" .. i % 2 } }) end
    put("k", "theirs", { of = other, tags = { "all" } })
    put("plain", "v")
    c.wr_cache_purge_tag(arena, space, str "n1")
    for i = 1, 100 do
      assert.equal(i % 2 == 0 and c.WR_CACHE_IS_FRESH or c.WR_CACHE_NONE, (get("k" .. i)), i)
    end
    put("k1", "again", { tags = { "n1" } })
    assert.equal("again", select(2, get "k1"))
    c.wr_cache_purge_tag(arena, space, str "all")
    assert.equal(c.WR_CACHE_NONE, (get "k2"))
    assert.equal(c.WR_CACHE_IS_FRESH, (get "plain"))
    c.wr_cache_purge_tag(arena, space, str "")
    assert.equal(c.WR_CACHE_NONE, (get "plain"), "the empty tag is all of the space")
    assert.equal("theirs", select(2, get("k", { of = other })))
  end)

  it("does not store what a purge has overtaken", function()
    for _, case in ipairs {
      { "the key", function() c.wr_cache_purge(arena, space, str "k") end, "purged" },
      { "a tag", function() c.wr_cache_purge_tag(arena, space, str "b") end, "purged" },
      { "the space", function() c.wr_cache_purge_tag(arena, space, str "") end, "purged" },
      { "another key", function() c.wr_cache_purge(arena, space, str "other") end, "stored" },
      { "another tag", function() c.wr_cache_purge_tag(arena, space, str "d") end, "stored" },
    } do
      local tags = { "a", "b" }
      local before = stamp("k", tags)
      case[2]()
      assert.equal(case[3], put("k", "v", { tags = tags, stamp = before }), case[1])
      c.wr_cache_purge(arena, space, str "k")
    end
  end)

  it("is a miss when the reader's buffer has no room", function()
    put("k", ("x"):rep(100))
    assert.equal(c.WR_CACHE_NONE, (get("k", { max = 99 })))
    assert.equal(c.WR_CACHE_IS_FRESH, (get("k", { max = 100 })))
  end)

  it("lets what is asked for often stay, whatever passes by", function()
    for i = 1, 200 do put("hot" .. i, ("h"):rep(200)) end
    for _ = 1, 3 do for i = 1, 200 do get("hot" .. i) end end
    for i = 1, 50000 do
      put("once" .. i, ("x"):rep(200))
      if i % 20 == 0 then get("hot" .. i / 20 % 200 + 1) end -- rarer than the cache is large
    end
    local kept = 0
    for i = 1, 200 do if get("hot" .. i) == c.WR_CACHE_IS_FRESH then kept = kept + 1 end end
    local s = stats()
    assert.is_true(kept >= 190, kept .. " of 200 kept")
    assert.is_true(s.rejections > 30000)
    assert.is_true(s.bytes_used <= s.bytes_max)
  end)

  it("forgets what was popular when nobody asks for it any more", function()
    for i = 1, 3000 do put("old" .. i, ("h"):rep(200)) end
    for _ = 1, 8 do for i = 1, 3000 do get("old" .. i) end end
    local hits = 0
    for round = 1, 40 do
      for i = 1, 2000 do
        if get("new" .. i) ~= c.WR_CACHE_NONE then
          if round == 40 then hits = hits + 1 end
        else
          put("new" .. i, ("n"):rep(200))
        end
      end
    end
    assert.is_true(hits > 1800, hits .. " of 2000 hit")
  end)

  it("replaces a value of the same size in its place", function()
    for i = 1, 200 do
      put("k", ("%03d"):format(i))
      assert.equal(("%03d"):format(i), select(2, get "k"))
    end
    assert.is_true(tonumber(stats().bytes_used) < 1000)
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
        if put(key, value) ~= "stored" then value = nil end
        model[key] = value
      elseif dice == 9 then
        c.wr_cache_purge(arena, space, str(key))
        model[key] = nil
      else
        local result, text = get(key)
        if result ~= c.WR_CACHE_NONE then
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
