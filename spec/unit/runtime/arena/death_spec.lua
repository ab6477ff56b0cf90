local c, ffi = require "spec.support.c" ("script/guard.h", "arena/slab.h", "arena/series.h")
local open = require "spec.support.arena"

ffi.cdef [[int fork(void); void _exit(int); int waitpid(int, int *, int); int kill(int, int);
  int getpid(void);]]

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

-- Runs `inside` in a process that ends without giving back what it holds.
local function die(inside)
  local pid = ffi.C.fork()
  if pid == 0 then
    local ok = pcall(inside)
    ffi.C._exit(ok and 0 or 1)
  end
  local status = ffi.new("int[1]")
  assert.equal(pid, ffi.C.waitpid(pid, status, 0))
  assert.equal(0, status[0])
end

describe("a process that dies holding a lock", function()
  local arena, registry, err, config
  before_each(function()
    arena = assert(open(c, ffi))
    registry, err = ffi.new("struct wr_registry"), ffi.new("struct wr_error")
    config = ffi.new("struct wr_bulkhead_config")
    c.wr_bulkhead_config_init(config)
    c.wr_guard_registry(registry, arena)
  end)
  after_each(function() c.wr_arena_fini(arena) end)

  local function declare(name)
    return c.wr_registry_declare(registry, c.WR_KIND_BULKHEAD, str(name), config, 1, err)
  end
  local function objects()
    local stats = ffi.new("struct wr_slab_stats")
    c.wr_slab_stats(arena, stats)
    return tonumber(stats.objects)
  end

  it("leaves a registry that finds every name and reclaims what was half made", function()
    local entries = {}
    for i = 1, 10 do entries[i] = declare("n" .. i) end
    die(function()
      c.wr_registry_lock_table(arena)
      c.wr_slab_take(arena, 100, c.WR_SLAB_ENTRY_STATE, 10)
      -- Every hash chain points to the end of the table.
      for i = 1, 10 do entries[i].next = 31 end
    end)
    assert.equal(21, objects())
    for i = 1, 10 do
      assert.equal(entries[i], c.wr_registry_find(registry, c.WR_KIND_BULKHEAD, str("n" .. i)))
    end
    assert.equal(20, objects())
    assert.equal(1, tonumber(arena.header.repairs))
    assert.is_true(declare "n11" ~= nil)
  end)

  it("leaves an entry whose state and configuration are those in force", function()
    local entry = declare "a"
    local state = ffi.cast("struct wr_bulkhead *", entry.state)
    die(function()
      c.wr_registry_lock(registry, entry, entry.generation, 1)
      state.in_use = 77
      state.config.max = 0
    end)
    assert.is_false(c.wr_registry_reconcile(registry, entry, config, 2))
    assert.equal(0, state.in_use)
    assert.equal(64, state.config.max)
  end)

  it("leaves no half of a state that was being moved", function()
    local entry = declare "a"
    declare "b"
    die(function()
      c.wr_registry_lock(registry, entry, entry.generation, 1)
      c.wr_slab_take(arena, 100, c.WR_SLAB_ENTRY_STATE, entry.index)
    end)
    assert.equal(5, objects())
    c.wr_registry_reconcile(registry, entry, config, 2)
    assert.equal(4, objects())
    assert.equal(64, ffi.cast("struct wr_bulkhead *", entry.state).config.max)
  end)

  it("leaves a slab that gives and takes", function()
    local kept = c.wr_slab_take(arena, 100, c.WR_SLAB_ENTRY_STATE, 1)
    die(function()
      c.wr_slab_lock(arena)
    end)
    local more = c.wr_slab_take(arena, 100, c.WR_SLAB_ENTRY_STATE, 1)
    assert.is_true(more ~= nil and more ~= kept)
    assert.equal(2, objects())
    c.wr_slab_give(arena, kept)
    c.wr_slab_give(arena, more)
    assert.equal(0, objects())
  end)

  it("leaves metrics that are found, walked and added to", function()
    local a = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="a"')
    local b = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="b"')
    die(function() c.wr_series_lock(arena) end)
    assert.equal(a, c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="a"'))
    assert.equal(b, c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="b"'))
    local new = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="c"')
    local view, seen = ffi.new("struct wr_series_view"), {}
    while c.wr_series_next(arena, view) do seen[#seen + 1] = view.series end
    assert.same({ a, b, new }, { seen[1], seen[2], seen[3] })
  end)

  it("loses no grant: the next one to come tells the waiter", function()
    config.max = 1
    local entry = declare "a"
    local mine, theirs = ffi.new("struct wr_guard"), ffi.new("struct wr_guard")
    local ask = ffi.new("struct wr_guard_ask")
    local waiting = ffi.new("struct wr_guard_ask", { until_ns = 0xffffffffffffffffULL })
    local none = ffi.new("struct wr_guard_callbacks")
    c.wr_guard_init(mine, registry, 0, none)
    c.wr_guard_init(theirs, registry, 1, none)
    c.wr_guard_enter(theirs, entry, ask, 1, err)
    c.wr_guard_enter(mine, entry, waiting, 1, err)
    die(function()
      -- Settles, and takes the waiter out of the queue: dies before its row says so.
      c.wr_registry_lock(registry, entry, entry.generation, 2)
      c.wr_bulkhead_release(entry.state)
      c.wr_ledger_give(theirs.ledger, c.wr_ledger_row(theirs.ledger, 0))
      c.wr_bulkhead_grant(entry.state, 2)
    end)
    assert.is_true(c.wr_guard_is_waiting(mine, waiting.id))
    c.wr_guard_settle_dead(registry, 1, 3, nil)
    local copy = ffi.new("struct wr_bulkhead")
    c.wr_guard_look(registry, entry, 3, copy)
    assert.equal(1, copy.in_use)
    assert.equal(0, copy.queued)
    local number = ffi.new("uint32_t[1]")
    assert.is_true(c.wr_ledger_announced(mine.ledger, number))
    assert.equal(0, number[0])
    assert.is_true(c.wr_guard_leave(mine, waiting.id, c.WR_OUTCOME_SUCCESS, 4))
    c.wr_ledger_fini(theirs.ledger)
    c.wr_guard_fini(mine, 5)
  end)
end)

describe("a process that is stopped while it holds a lock", function()
  local STOP, KILL, WUNTRACED = 19, 9, 2
  jit.off(true, true) -- C calls back

  it("is named to the one that may end it, who then goes on", function()
    local arena = assert(open(c, ffi))
    local pid = ffi.C.fork()
    if pid == 0 then
      c.wr_registry_lock_table(arena)
      ffi.C.kill(ffi.C.getpid(), STOP)
      ffi.C._exit(1)
    end
    local status = ffi.new("int[1]")
    assert.equal(pid, ffi.C.waitpid(pid, status, WUNTRACED))
    local told = {}
    arena.on_wait = function(_, holder)
      told[#told + 1] = holder
      if holder ~= 0 then ffi.C.kill(holder, KILL) end
      return holder == 0 and 1 or 0x7fffffffffffffffULL -- long past, then for ever
    end
    c.wr_registry_lock_table(arena)
    c.wr_registry_unlock_table(arena)
    assert.same({ 0, pid }, told)
    assert.equal(1, tonumber(arena.header.repairs))
    assert.equal(pid, ffi.C.waitpid(pid, status, 0))
    arena.on_wait:free()
    c.wr_arena_fini(arena)
  end)
end)
