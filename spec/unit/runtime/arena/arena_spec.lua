local c, ffi = require "spec.support.c" ("arena/arena.h", "arena/slab.h", "arena/slot.h",
                                         "arena/series.h", "arena/registry.h", "arena/cache.h")
local open = require "spec.support.arena"

describe("arena", function()
  it("lays every section inside the mapping, in order", function()
    local arena = assert(open(c, ffi))
    local header = arena.header
    local last = ffi.cast("uintptr_t", header)
    local stop = last + header.size
    for _, section in ipairs { "slots", "ledger", "registry", "series", "cache", "slab" } do
      local at = ffi.cast("uintptr_t", header[section])
      assert.is_true(at > last and at < stop, section)
      last = at
    end
    assert.equal(4, header.slot_count)
    assert.is_true(header.base == ffi.cast("void *", header))
    c.wr_arena_fini(arena)
  end)

  it("has room for what its sections need, and grows with its options", function()
    local small = assert(open(c, ffi))
    local large = assert(open(c, ffi, { cache_bytes = 256 * 1024 * 1024 }))
    assert.is_true(tonumber(small.size) > 64 * 1024 * 1024)
    assert.is_true(tonumber(large.size) > tonumber(small.size) + 128 * 1024 * 1024)
    c.wr_arena_fini(small)
    c.wr_arena_fini(large)
  end)

  for _, case in ipairs {
    { { size = 65536 },
      "size is 65536 bytes, but 3 workers, 256 ledger rows, 128 series, 32 entries" },
    { { worker_count = 0 }, "worker_count is 0, it must be from 1 to 128" },
    { { worker_count = 129 }, "worker_count is 129" },
    { { ledger_rows = 2 ^ 21 }, "ledger_rows 2097152 %(at most 1048576%)" },
  } do
    it("refuses options that say " .. case[2], function()
      local arena, message = open(c, ffi, case[1])
      assert.is_nil(arena)
      assert.matches(case[2], message)
    end)
  end

  it("derives everything random from its seed", function()
    local a, b = assert(open(c, ffi)), assert(open(c, ffi))
    local other = assert(open(c, ffi, { seed = 8 }))
    assert.equal(a.header.hash_key.k0, b.header.hash_key.k0)
    assert.are_not.equal(a.header.hash_key.k0, other.header.hash_key.k0)
    for _, arena in ipairs { a, b, other } do c.wr_arena_fini(arena) end
  end)

  it("keeps its content for itself once it is privatised", function()
    local arena = assert(open(c, ffi))
    local err = ffi.new("struct wr_error")
    local labels = ffi.new("struct wr_str", { 'name="x"', 8 })
    local series = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, labels)
    c.wr_series_add(arena, 0, series, 5)
    assert.is_true(c.wr_arena_privatise(arena, err))
    assert.is_true(arena.is_private)
    assert.equal(series, c.wr_series_get(arena, c.WR_METRIC_FALLBACK, labels))
    c.wr_series_add(arena, 0, series, 1)
    assert.equal(6, c.wr_series_value(arena, series))
    -- The memfd still has what the others see.
    ffi.cdef "void *mmap(void *, size_t, int, int, int, long);"
    local shared = ffi.C.mmap(nil, arena.size, 3, 1, arena.fd, 0)
    local public = ffi.new("struct wr_arena", arena)
    -- As numbers: of pointers LuaJIT tells a difference in 32 bits.
    local offset = ffi.cast("intptr_t", shared) - ffi.cast("intptr_t", arena.header)
    local value = ffi.cast("char *", arena.header.series) + offset
    assert.are_not.equal(ffi.cast("void *", value), ffi.cast("void *", arena.header.series))
    local magic = ffi.cast("struct wr_arena_header *", shared).magic
    assert.equal(public.header.magic, magic)
    c.wr_slot_beat(c.wr_slot_of(arena, 0), 77)
    local slot = ffi.cast("char *", c.wr_slot_of(arena, 0)) + offset
    assert.equal(0, tonumber(ffi.cast("struct wr_slot *", slot).heartbeat_ns))
    c.wr_arena_fini(arena)
  end)
end)

describe("slot", function()
  it("tells who lives there, when it turned last and what it does", function()
    local arena = assert(open(c, ffi))
    local slot = c.wr_slot_of(arena, 1)
    c.wr_slot_take(slot, 4711, 1000)
    c.wr_slot_beat(slot, 2000)
    local route = ("r"):rep(200)
    c.wr_slot_doing(slot, ffi.new("struct wr_str", { "req-1", 5 }),
      ffi.new("struct wr_str", { route, #route }))
    assert.equal(4711, slot.pid)
    assert.equal(2000, tonumber(slot.heartbeat_ns))
    assert.equal("req-1", ffi.string(slot.request))
    assert.equal(("r"):rep(c.WR_SLOT_ROUTE_MAX - 1), ffi.string(slot.route))
    c.wr_slot_leave(slot, false)
    assert.equal(0, slot.pid)
    assert.equal(1, slot.restarts)
    c.wr_slot_take(slot, 4712, 3000)
    assert.equal("", ffi.string(slot.request))
    c.wr_slot_leave(slot, true)
    assert.equal(1, slot.restarts)
    c.wr_arena_fini(arena)
  end)

  it("has a bell that any number of rings makes readable until it is hushed", function()
    ffi.cdef [[struct pollfd_spec { int fd; short events, revents; };
      int bell_poll(struct pollfd_spec *, unsigned long, int) __asm__("poll");]]
    local arena = assert(open(c, ffi))
    local p = ffi.new("struct pollfd_spec[1]", { { fd = c.wr_slot_of(arena, 2).bell_fd,
      events = 1 } })
    assert.equal(0, ffi.C.bell_poll(p, 1, 0))
    c.wr_slot_ring(arena, 2)
    c.wr_slot_ring(arena, 2)
    assert.equal(1, ffi.C.bell_poll(p, 1, 0))
    c.wr_slot_hush(arena, 2)
    assert.equal(0, ffi.C.bell_poll(p, 1, 0))
    c.wr_slot_hush(arena, 2)
    c.wr_arena_fini(arena)
  end)
end)

describe("an arena that was handed over", function()
  local arena, err
  before_each(function()
    arena, err = assert(open(c, ffi, { stamp = 42, fleets = 2 })), ffi.new "struct wr_error"
  end)

  -- What a program has that took another's place: the descriptor, and nothing mapped.
  local function leave()
    ffi.cdef "int munmap(void *, size_t); int dup(int);"
    local fd = ffi.C.dup(arena.fd)
    local at = ffi.cast("void *", arena.header)
    c.wr_slot_beat(c.wr_slot_of(arena, 3), 77)
    ffi.C.munmap(at, arena.size)
    return fd, at
  end

  it("has two fleets' slots and the master's", function()
    assert.same({ 7, 3 }, { arena.header.slot_count, arena.header.worker_count })
    assert.equal(6, c.wr_slot_master(arena))
    c.wr_arena_fini(arena)
  end)

  it("is mapped where it was, with what is in it", function()
    local size = arena.size
    local fd, at = leave()
    local taken = ffi.new "struct wr_arena"
    assert.is_true(c.wr_arena_adopt(taken, fd, 42, err), ffi.string(err.message))
    assert.is_true(ffi.cast("void *", taken.header) == at)
    assert.is_true(taken.size == size)
    assert.equal(77, tonumber(c.wr_slot_of(taken, 3).heartbeat_ns))
    c.wr_arena_fini(taken)
  end)

  local function refused(change, stamp)
    local header = arena.header
    if change then change(header) end
    local fd = leave()
    local taken = ffi.new "struct wr_arena"
    assert.is_false(c.wr_arena_adopt(taken, fd, stamp or 42, err))
    return ffi.string(err.message)
  end

  it("is refused when its layout is another", function()
    assert.matches("^its layout is 99, of this program %d+$",
      refused(function(h) h.version = 99 end))
  end)

  it("is refused when its states are others", function()
    assert.matches("has other states", refused(nil, 43))
  end)

  it("is refused when it is none", function()
    assert.matches("^its layout is", refused(function(h) h.magic = 0 end))
    assert.is_false(c.wr_arena_adopt(ffi.new "struct wr_arena", 0, 42, err))
  end)

  it("is refused when something else is in its place", function()
    ffi.cdef "int dup(int);"
    assert.is_false(c.wr_arena_adopt(ffi.new "struct wr_arena", ffi.C.dup(arena.fd), 42, err))
    assert.matches("cannot be mapped where it was", ffi.string(err.message))
    c.wr_arena_fini(arena)
  end)
end)
