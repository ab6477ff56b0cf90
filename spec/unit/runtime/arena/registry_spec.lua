local c, ffi = require "spec.support.c" ("script/guard.h", "arena/slab.h", "arena/cache.h")
local open = require "spec.support.arena"

local SECOND = 1000000000ULL
local KEEP = 600 * SECOND

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

describe("registry", function()
  local arena, registry, err, config
  local function declare(name, kind, now)
    return c.wr_registry_declare(registry, kind or c.WR_KIND_BULKHEAD, str(name), config,
      now or 1, err)
  end
  before_each(function()
    arena = assert(open(c, ffi, { entries_max = 8 }))
    registry = ffi.new("struct wr_registry")
    err = ffi.new("struct wr_error")
    config = ffi.new("struct wr_bulkhead_config")
    c.wr_bulkhead_config_init(config)
    c.wr_guard_registry(registry, arena)
  end)
  after_each(function() c.wr_arena_fini(arena) end)

  it("creates a name once and leaves an existing one as it is", function()
    local entry = declare("a")
    config.max = 5
    assert.equal(entry, declare("a"))
    assert.equal(64, ffi.cast("struct wr_bulkhead *", entry.state).config.max)
    assert.equal(entry, c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str "a"))
    assert.is_true(c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str "b") == nil)
    assert.equal("a", ffi.string(entry.name))
    assert.equal(1, c.wr_registry_count(registry))
  end)

  it("keeps equal names of different kinds apart", function()
    local bulkhead = declare("a")
    local budget_config = ffi.new("struct wr_budget_config")
    c.wr_budget_config_init(budget_config)
    local budget = c.wr_registry_declare(registry, c.WR_KIND_BUDGET, str "a", budget_config, 1, err)
    assert.are_not.equal(bulkhead, budget)
    assert.equal(bulkhead, c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str "a"))
    assert.equal(budget, c.wr_registry_find(registry, c.WR_KIND_BUDGET, str "a"))
  end)

  for _, case in ipairs {
    { "", "bulkhead: the name has 0 bytes, it must have 1 to 127" },
    { ("x"):rep(128), "the name has 128 bytes" },
    { "a\nb", "byte 2 of the name is the control character 10" },
  } do
    it("refuses a name of which it says: " .. case[2], function()
      assert.is_true(declare(case[1]) == nil)
      assert.equal(c.WR_ERROR_INVALID, err.kind)
      assert.matches(case[2], ffi.string(err.message), 1, true)
    end)
  end

  it("refuses one entry more than it may have, and says the numbers", function()
    for i = 1, 8 do assert.is_true(declare("n" .. i) ~= nil) end
    assert.is_true(declare("n9") == nil)
    assert.equal(c.WR_ERROR_TOO_LARGE, err.kind)
    assert.matches("8 of 8 entries", ffi.string(err.message))
    assert.is_true(declare("n3") ~= nil)
  end)

  it("applies a changed configuration to the kept state, and an equal one never", function()
    local entry = declare("a")
    local bulkhead = ffi.cast("struct wr_bulkhead *", entry.state)
    c.wr_bulkhead_try(bulkhead, 1, nil)
    assert.is_false(c.wr_registry_reconcile(registry, entry, config, 2))
    for max = 1, 5 do
      config.max = max
      assert.is_true(c.wr_registry_reconcile(registry, entry, config, 2))
      assert.is_false(c.wr_registry_reconcile(registry, entry, config, 2))
      assert.equal(max, bulkhead.config.max)
      assert.equal(1, bulkhead.in_use)
    end
  end)

  -- Its repair, in whatever process, frees what no entry owns: also the half that is moved to.
  it("moves a state under the table's lock", function()
    jit.off(true, true)
    ffi.cdef "int pthread_mutex_trylock(void *)"
    local ops = ffi.new("struct wr_kind_ops", c.wr_guard_kinds[c.WR_KIND_BULKHEAD][0])
    local move, tried = ops.move, nil
    ops.move = function(to, from, new, now)
      tried = ffi.C.pthread_mutex_trylock(arena.header.registry)
      move(to, from, new, now)
    end
    local kinds = ffi.new("const struct wr_kind_ops *[?]", c.WR_KINDS)
    kinds[c.WR_KIND_BULKHEAD] = ops
    local entry = declare("a")
    registry.kinds = kinds
    config.max_keys = 8
    assert.is_true(c.wr_registry_reconcile(registry, entry, config, 2))
    assert.equal(16, tried, "EBUSY")
  end)

  it("frees an entry only after nobody held it for ten minutes", function()
    local entry = declare("a", nil, SECOND)
    local ref = c.wr_registry_ref(entry)
    c.wr_registry_hold(registry, entry, 0)
    c.wr_registry_hold(registry, entry, 0)
    c.wr_registry_hold(registry, entry, 2)
    assert.equal(0, c.wr_registry_sweep(registry, 10 * KEEP))
    c.wr_registry_drop(registry, entry, 0)
    c.wr_registry_drop(registry, entry, 2)
    assert.equal(0, c.wr_registry_sweep(registry, 20 * KEEP))
    c.wr_registry_wipe(registry, 0)
    assert.equal(0, c.wr_registry_sweep(registry, 30 * KEEP))
    assert.equal(0, c.wr_registry_sweep(registry, 31 * KEEP - 1))
    assert.equal(entry, c.wr_registry_get(registry, ref))
    assert.equal(1, c.wr_registry_sweep(registry, 31 * KEEP))
    assert.is_true(c.wr_registry_get(registry, ref) == nil)
    assert.is_false(c.wr_registry_lock(registry, entry, ref.generation, 1))
    assert.equal(0, c.wr_registry_count(registry))
    local stats = ffi.new("struct wr_slab_stats")
    c.wr_slab_stats(arena, stats)
    assert.equal(0, tonumber(stats.objects))
  end)

  it("finds the state again when a name comes back within ten minutes", function()
    local entry = declare("a", nil, SECOND)
    c.wr_bulkhead_try(ffi.cast("struct wr_bulkhead *", entry.state), 1, nil)
    c.wr_registry_sweep(registry, 2 * SECOND)
    assert.equal(entry, declare("a", nil, KEEP))
    assert.equal(0, c.wr_registry_sweep(registry, KEEP + 5 * SECOND))
    assert.equal(1, ffi.cast("struct wr_bulkhead *", entry.state).in_use)
  end)

  it("never frees an entry whose kind does not let it go", function()
    local entry = declare("a", nil, SECOND)
    local bulkhead = ffi.cast("struct wr_bulkhead *", entry.state)
    c.wr_bulkhead_try(bulkhead, 1, nil)
    assert.equal(0, c.wr_registry_sweep(registry, 100 * KEEP))
    c.wr_bulkhead_release(bulkhead)
    assert.equal(1, c.wr_registry_sweep(registry, 100 * KEEP))
  end)

  it("frees who has been gone for longest, from ten seconds on, rather than refuse", function()
    for i = 1, 8 do declare("n" .. i, nil, i * SECOND) end
    c.wr_registry_hold(registry, declare("n1", nil, SECOND), 1)
    local busy = declare("n2", nil, 2 * SECOND)
    c.wr_bulkhead_try(ffi.cast("struct wr_bulkhead *", busy.state), 1, nil)
    assert.is_true(declare("new", nil, 12 * SECOND) == nil, "n3 is gone for nine seconds")
    assert.is_true(declare("new", nil, 13 * SECOND) ~= nil)
    assert.is_true(c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str "n3") == nil)
    for _, name in ipairs { "n1", "n2", "n4", "n8", "new" } do
      assert.is_true(c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str(name)) ~= nil, name)
    end
    assert.equal(8, c.wr_registry_count(registry))
  end)

  it("gives a reused place another generation", function()
    local entry = declare("a", nil, SECOND)
    local ref = c.wr_registry_ref(entry)
    c.wr_registry_sweep(registry, 100 * KEEP)
    local again = declare("b", nil, 100 * KEEP)
    assert.equal(entry, again)
    assert.is_true(c.wr_registry_get(registry, ref) == nil)
    assert.equal(again, c.wr_registry_get(registry, c.wr_registry_ref(again)))
    assert.is_true(c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str "a") == nil)
  end)

  -- Each generation declares names that none before it had, and is gone with the next.
  local function reloads(count, interval, each)
    local configs = {
      [c.WR_KIND_BULKHEAD] = config,
      [c.WR_KIND_LIMITER] = ffi.new("struct wr_limiter_config"),
      [c.WR_KIND_BUDGET] = ffi.new("struct wr_budget_config"),
    }
    c.wr_limiter_config_init(configs[c.WR_KIND_LIMITER])
    c.wr_budget_config_init(configs[c.WR_KIND_BUDGET])
    config.max_keys, configs[c.WR_KIND_LIMITER].max_keys = 64, 256
    local live = {}
    for i = 1, count do
      local now = i * interval
      local next_live = {}
      for kind, options in pairs(configs) do
        local entry = c.wr_registry_declare(registry, kind, str("name " .. i), options, now, err)
        assert(entry ~= nil, ffi.string(err.message))
        c.wr_registry_hold(registry, entry, i % 2)
        next_live[#next_live + 1] = entry
      end
      for _, entry in ipairs(live) do c.wr_registry_drop(registry, entry, (i - 1) % 2) end
      live = next_live
      if i % 10 == 0 then c.wr_registry_sweep(registry, now) end
      each(i)
    end
    for _, entry in ipairs(live) do c.wr_registry_drop(registry, entry, count % 2) end
    c.wr_registry_sweep(registry, count * interval)
    c.wr_registry_sweep(registry, count * interval + KEEP)
  end

  local function slab()
    local stats = ffi.new("struct wr_slab_stats")
    c.wr_slab_stats(arena, stats)
    return stats
  end

  it("gives all memory back of what is gone: flat over thousands of reloads", function()
    c.wr_arena_fini(arena)
    arena = assert(open(c, ffi, { entries_max = 4096 }))
    c.wr_guard_registry(registry, arena)
    local most
    reloads(5000, SECOND, function(i)
      if i == 1000 then most = slab().bytes_used end
      if i > 1000 then assert.is_true(slab().bytes_used <= most, "reload " .. i) end
      assert.is_true(c.wr_registry_count(registry) <= 3 * (600 + 20))
    end)
    assert.equal(0, c.wr_registry_count(registry))
    assert.equal(0, tonumber(slab().objects))
    assert.equal(0, tonumber(slab().refused))
  end)

  it("takes a storm of reloads with new names, twenty a second", function()
    c.wr_arena_fini(arena)
    arena = assert(open(c, ffi, { entries_max = 1024 }))
    c.wr_guard_registry(registry, arena)
    reloads(3000, SECOND / 20, function() end)
    assert.equal(0, c.wr_registry_count(registry))
    assert.equal(0, tonumber(slab().objects))
  end)

  it("plans the earliest time that was asked for, whoever asked first", function()
    local a, b = declare("a"), declare("b")
    c.wr_registry_plan_begin(registry)
    assert.is_true(c.wr_registry_plan(registry, a, 50))
    assert.is_false(c.wr_registry_plan(registry, b, 70))
    assert.is_true(c.wr_registry_plan(registry, b, 20))
    assert.equal(20, tonumber(c.wr_registry_plan_end(registry, 30)))
    assert.is_false(c.wr_registry_plan(registry, b, 90))
    c.wr_registry_plan_begin(registry)
    assert.equal(50, tonumber(c.wr_registry_plan_end(registry, 50)))
  end)
end)
