-- The shedder behind the guard: two workers in one process, one arena. (FFI callbacks do not mix
-- with compiled code.)
jit.off(true, true)
local c, ffi = require "spec.support.c" ("script/guard.h", "arena/slot.h", "resilience/shedder.h")
local open = require "spec.support.arena"

local MS, SECOND = 1000000ULL, 1000000000ULL
local NEVER = 0xffffffffffffffffULL
local CRITICAL, NORMAL, BACKGROUND = 0, 2, 4

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

describe("guarded shedder", function()
  local arena, registry, err, a, b, grants
  local on_grant = ffi.cast("void (*)(void *, uint64_t, _Bool)", function(_, id, granted)
    grants[#grants + 1] = { id = id, granted = granted }
  end)

  before_each(function()
    arena = assert(open(c, ffi, { ledger_rows = 64 }))
    registry, err = ffi.new("struct wr_registry"), ffi.new("struct wr_error")
    c.wr_guard_registry(registry, arena)
    local callbacks = ffi.new("struct wr_guard_callbacks", { on_grant })
    a, b = ffi.new("struct wr_guard"), ffi.new("struct wr_guard")
    c.wr_guard_init(a, registry, 0, callbacks)
    c.wr_guard_init(b, registry, 1, callbacks)
    grants = {}
  end)
  after_each(function()
    c.wr_guard_fini(a, SECOND)
    c.wr_guard_fini(b, SECOND)
    c.wr_arena_fini(arena)
  end)

  local function shedder(limit, queue)
    local config = ffi.new "struct wr_shedder_config"
    c.wr_shedder_config_init(config)
    config.limit.initial, config.queue = limit, queue
    local entry = c.wr_registry_declare(registry, c.WR_KIND_SHEDDER, str "s", config, 1, err)
    return entry, ffi.cast("struct wr_shedder *", entry.state), config
  end

  local function enter(guard, entry, priority, now, signals)
    local ask = ffi.new("struct wr_guard_ask",
      { until_ns = NEVER, priority = priority, signals = signals })
    return c.wr_guard_enter(guard, entry, ask, now or 1, err), ask.id
  end

  it("tells the worker of a preempted call at once", function()
    local entry, state = shedder(1, 1)
    enter(a, entry, NORMAL)
    local result, id = enter(b, entry, BACKGROUND)
    assert.equal(c.WR_GUARD_QUEUED, result)
    local bells = tonumber(c.wr_slot_of(arena, 1).bells)
    assert.equal(c.WR_GUARD_QUEUED, (enter(a, entry, CRITICAL, 2)))
    assert.equal(bells + 1, tonumber(c.wr_slot_of(arena, 1).bells))
    c.wr_guard_collect(b, 3)
    assert.same({ { id = id, granted = false } }, grants)
    assert.equal(1, state.queued)
    c.wr_guard_explain_wait(entry, err)
    assert.equal(c.WR_ERROR_SHED, err.kind)
  end)

  it("refuses with the primitive's name, the priority and numbers", function()
    local entry = shedder(1, 0)
    enter(a, entry, NORMAL)
    assert.equal(c.WR_GUARD_REFUSED, (enter(b, entry, BACKGROUND)))
    assert.equal(c.WR_ERROR_SHED, err.kind)
    assert.equal("shedder 's' refused (full, priority background): 1 of 1 in flight, 0 of 0 queued",
      ffi.string(err.message))
    assert.equal("shed", ffi.string(c.wr_guard_why(entry)))
  end)

  it("is told of the signals by those who ask", function()
    local entry, state, config = shedder(10, 0)
    config.overload.in_flight = 5
    assert.is_true(c.wr_registry_reconcile(registry, entry, config, 1))
    local signals = ffi.new "struct wr_overload_signals"
    signals.in_flight = 9
    for i = 1, 8 do
      local _, id = enter(a, entry, CRITICAL, SECOND + i * 100 * MS, signals)
      c.wr_guard_leave(a, id, c.WR_OUTCOME_SUCCESS, SECOND + i * 100 * MS)
    end
    assert.is_true(state.overload.level >= 1)
    assert.equal(c.WR_GUARD_REFUSED, (enter(b, entry, BACKGROUND, 2 * SECOND, signals)))
    assert.truthy(ffi.string(err.message):find("overloaded", 1, true))
  end)

  it("learns the latency of the head from who says that it came", function()
    local entry, state, config = shedder(10, 0)
    config.limit.rule, config.limit.samples = c.WR_ADAPTIVE_VEGAS, 1
    c.wr_registry_reconcile(registry, entry, config, 1)
    for i = 1, 2 do
      local _, id = enter(a, entry, NORMAL, i * 2 * SECOND)
      c.wr_guard_answered(b, id, i * 2 * SECOND + 10 * MS)
      c.wr_guard_answered(a, id, i * 2 * SECOND + 30 * MS)
      c.wr_guard_leave(a, id, c.WR_OUTCOME_SUCCESS, i * 2 * SECOND + 900 * MS)
      c.wr_guard_answered(a, id, i * 2 * SECOND + 901 * MS)
    end
    assert.equal(30e6, state.adaptive.latency_ns)
  end)

  it("settles what a dead worker left, and grants the next ones by priority", function()
    local entry, state = shedder(1, 8)
    enter(b, entry, NORMAL)
    enter(a, entry, BACKGROUND, 2)
    enter(b, entry, CRITICAL, 3)
    local _, high = enter(a, entry, CRITICAL, 4)
    assert.equal(2, c.wr_guard_settle_dead(registry, 1, 5, nil))
    c.wr_guard_collect(a, 6)
    assert.same({ { id = high, granted = true } }, grants)
    assert.same({ 1, 1 }, { state.in_use, state.queued })
  end)

  it("is recounted from the ledger after a death inside", function()
    local entry, state = shedder(1, 8)
    enter(a, entry, NORMAL)
    local _, first = enter(a, entry, BACKGROUND, 2)
    local _, second = enter(b, entry, CRITICAL, 3)
    ffi.fill(state.waiters, ffi.sizeof(state.waiters), 0xaa)
    state.in_use, state.queued = 77, 99
    registry.repair(registry, entry, 4)
    assert.same({ 1, 2 }, { state.in_use, state.queued })
    assert.is_true(c.wr_guard_cancel_wait(a, first, 5))
    assert.is_true(c.wr_guard_cancel_wait(b, second, 5))
    assert.equal(0, state.queued)
  end)

  it("keeps its learnt limit over a reload, and its waiters", function()
    local entry, state, config = shedder(1, 8)
    config.limit.rule, config.limit.initial, config.limit.max = c.WR_ADAPTIVE_VEGAS, 20, 100
    c.wr_registry_reconcile(registry, entry, config, 1)
    state.adaptive.limit = 2
    enter(a, entry, NORMAL)
    enter(a, entry, NORMAL)
    local _, id = enter(b, entry, NORMAL, 2)
    config.limit.min = 3
    assert.is_true(c.wr_registry_reconcile(registry, entry, config, 3))
    assert.equal(3, c.wr_shedder_limit(state))
    c.wr_guard_collect(b, 4)
    assert.same({ { id = id, granted = true } }, grants)
  end)
end)
