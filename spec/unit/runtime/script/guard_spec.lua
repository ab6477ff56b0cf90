-- Two workers in one process: a guard each, one arena. (FFI callbacks do not mix with compiled
-- code.)
jit.off(true, true)
local c, ffi = require "spec.support.c" ("script/guard.h", "arena/slot.h")
local open = require "spec.support.arena"

local MS, SECOND = 1000000ULL, 1000000000ULL
local NEVER = 0xffffffffffffffffULL

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

describe("guard", function()
  local arena, registry, err, a, b, grants, events, callbacks, id
  local on_grant = ffi.cast("void (*)(void *, uint64_t, _Bool)", function(_, granted_id, granted)
    grants[#grants + 1] = { id = granted_id, granted = granted }
  end)
  local on_event = ffi.cast("void (*)(void *, struct wr_entry *, const union wr_guard_event *)",
    function(_, entry, event)
      if entry.kind ~= c.WR_KIND_BREAKER then return end
      events[#events + 1] = ffi.string(entry.name) .. " "
        .. ffi.string(c.wr_breaker_state_name(event.breaker.from)) .. ">"
        .. ffi.string(c.wr_breaker_state_name(event.breaker.to))
    end)

  before_each(function()
    arena = assert(open(c, ffi, { ledger_rows = 64 }))
    registry, err = ffi.new("struct wr_registry"), ffi.new("struct wr_error")
    c.wr_guard_registry(registry, arena)
    callbacks = ffi.new("struct wr_guard_callbacks", { on_grant, on_event })
    a, b = ffi.new("struct wr_guard"), ffi.new("struct wr_guard")
    c.wr_guard_init(a, registry, 0, callbacks)
    c.wr_guard_init(b, registry, 1, callbacks)
    id = ffi.new("uint64_t[1]")
    grants, events = {}, {}
  end)
  after_each(function()
    c.wr_guard_fini(a, SECOND)
    c.wr_guard_fini(b, SECOND)
    c.wr_arena_fini(arena)
  end)

  local function bulkhead(options)
    local config = ffi.new("struct wr_bulkhead_config")
    c.wr_bulkhead_config_init(config)
    for key, value in pairs(options or {}) do config[key] = value end
    local entry = c.wr_registry_declare(registry, c.WR_KIND_BULKHEAD, str "pool", config, 1, err)
    return entry, ffi.cast("struct wr_bulkhead *", entry.state), config
  end
  local function breaker(options)
    local config = ffi.new("struct wr_breaker_config")
    c.wr_breaker_config_init(config)
    for key, value in pairs(options or {}) do config[key] = value end
    local entry = c.wr_registry_declare(registry, c.WR_KIND_BREAKER, str "recs", config, 1, err)
    return entry, ffi.cast("struct wr_breaker *", entry.state)
  end
  local function enter(guard, entry, now, wait)
    local ask = ffi.new("struct wr_guard_ask", { until_ns = wait or 0 })
    local result = c.wr_guard_enter(guard, entry, ask, now or 1, err)
    id[0] = ask.id
    return result, ask.id, ask.until_ns
  end

  it("counts an admission until it is left, once", function()
    local entry, state = bulkhead()
    local result, mine = enter(a, entry)
    assert.equal(c.WR_GUARD_ADMITTED, result)
    assert.equal(1, state.in_use)
    assert.is_false(c.wr_guard_leave(b, mine, c.WR_OUTCOME_SUCCESS, 2))
    assert.is_true(c.wr_guard_leave(a, mine, c.WR_OUTCOME_SUCCESS, 2))
    assert.is_false(c.wr_guard_leave(a, mine, c.WR_OUTCOME_SUCCESS, 2))
    assert.is_false(c.wr_guard_leave(a, 0, c.WR_OUTCOME_SUCCESS, 2))
    assert.equal(0, state.in_use)
  end)

  it("refuses with the primitive's name and numbers", function()
    local entry = bulkhead { max = 1, queue = 0 }
    enter(a, entry)
    assert.equal(c.WR_GUARD_REFUSED, (enter(b, entry)))
    assert.equal(c.WR_ERROR_REFUSED, err.kind)
    assert.equal("bulkhead 'pool' refused (full): 1 of 1 in flight, 0 of 0 queued",
      ffi.string(err.message))
    local recs = breaker { mode = c.WR_BREAKER_MODE_FORCED_OPEN }
    assert.equal(c.WR_GUARD_REFUSED, (enter(a, recs, 1)))
    assert.equal("breaker 'recs' refused (forced)", ffi.string(err.message))
    assert.equal(0, tonumber(err.after_ns))
  end)

  it("grants a slot to a waiter of another worker, which learns it by its bell", function()
    local entry, state = bulkhead { max = 1 }
    local _, mine = enter(a, entry)
    local result, waiting, until_ns = enter(b, entry, 1, NEVER)
    assert.equal(c.WR_GUARD_QUEUED, result)
    assert.equal(1 + 50 * MS, tonumber(until_ns))
    assert.is_true(c.wr_guard_is_waiting(b, waiting))
    c.wr_guard_collect(b, 2)
    assert.same({}, grants)
    local bells = tonumber(c.wr_slot_of(arena, 1).bells)
    c.wr_guard_leave(a, mine, c.WR_OUTCOME_SUCCESS, 2)
    assert.equal(bells + 1, tonumber(c.wr_slot_of(arena, 1).bells))
    assert.equal(1, state.in_use)
    c.wr_guard_collect(b, 3)
    c.wr_guard_collect(b, 3)
    assert.equal(1, #grants)
    assert.is_true(grants[1].granted and grants[1].id == waiting)
    assert.is_true(c.wr_guard_leave(b, waiting, c.WR_OUTCOME_SUCCESS, 4))
    assert.equal(0, state.in_use)
  end)

  it("gives a slot back that was granted to a wait just cancelled", function()
    local entry, state = bulkhead { max = 1 }
    local _, mine = enter(a, entry)
    local _, first = enter(b, entry, 1, NEVER)
    local _, second = enter(b, entry, 2, NEVER)
    c.wr_guard_leave(a, mine, c.WR_OUTCOME_SUCCESS, 3)
    assert.is_true(c.wr_guard_cancel_wait(b, first, 4))
    c.wr_guard_collect(b, 5)
    assert.equal(1, #grants)
    assert.equal(second, grants[1].id)
    assert.equal(1, state.in_use)
  end)

  it("leaves the queue without a trace when a wait is cancelled", function()
    local entry, state = bulkhead { max = 1 }
    enter(a, entry)
    local _, waiting = enter(b, entry, 1, NEVER)
    assert.is_true(c.wr_guard_cancel_wait(b, waiting, 2))
    assert.is_false(c.wr_guard_cancel_wait(b, waiting, 2))
    assert.equal(0, state.queued)
    assert.equal(0, c.wr_ledger_count(arena, 1))
  end)

  it("tells a waiter whose time ran out in the queue that it was refused", function()
    local entry = bulkhead { max = 1 }
    local _, mine = enter(a, entry)
    local _, waiting = enter(b, entry, 1, 1000)
    c.wr_guard_leave(a, mine, c.WR_OUTCOME_SUCCESS, 2000)
    c.wr_guard_collect(b, 2000)
    assert.equal(1, #grants)
    assert.is_false(grants[1].granted)
    assert.is_false(c.wr_guard_leave(b, waiting, c.WR_OUTCOME_SUCCESS, 2001))
    assert.equal(0, c.wr_ledger_count(arena, 1))
  end)

  it("admits waiters when a reload enlarges the bulkhead", function()
    local entry, state, config = bulkhead { max = 1 }
    enter(a, entry)
    local _, waiting = enter(b, entry, 1, NEVER)
    config.max = 2
    assert.is_true(c.wr_registry_reconcile(registry, entry, config, 2))
    c.wr_guard_collect(b, 3)
    assert.equal(waiting, grants[1].id)
    assert.equal(2, state.in_use)
  end)

  it("refuses when the worker's ledger is full, and counts it", function()
    local entry = bulkhead { max = 1000 }
    for _ = 1, 64 do assert.equal(c.WR_GUARD_ADMITTED, (enter(a, entry))) end
    assert.equal(c.WR_GUARD_REFUSED, (enter(a, entry)))
    assert.matches("the worker has 64 admissions, all it may have", ffi.string(err.message))
    assert.equal(1, tonumber(a.refused_full))
    assert.equal(c.WR_GUARD_ADMITTED, (enter(b, entry)))
  end)

  it("reports each transition of a breaker once, to whoever caused it", function()
    local entry = breaker { consecutive = 3, failure_rate = 0 }
    for _, guard in ipairs { a, b, a } do
      assert.equal(c.WR_GUARD_ADMITTED, (enter(guard, entry, 1)))
      c.wr_guard_leave(guard, id[0], c.WR_OUTCOME_FAILURE, 2)
    end
    assert.same({ "recs closed>open" }, events)
    assert.equal(c.WR_GUARD_REFUSED, (enter(b, entry, 3)))
    assert.is_true(err.after_ns > 0)
    assert.same({ "recs closed>open" }, events)
  end)

  it("tells transitions and grants with every lock given back", function()
    -- A mutex of the C library begins with the word that is 0 while nobody holds it.
    local seen, entries = {}, {}
    local function note(what)
      local held = 0
      for _, entry in ipairs(entries) do
        held = held + ffi.cast("uint32_t *", entry.lock.words)[0]
      end
      seen[#seen + 1] = what .. " " .. held
    end
    local on_any_grant = ffi.cast("void (*)(void *, uint64_t, _Bool)", function() note "grant" end)
    local on_any_event = ffi.cast(
      "void (*)(void *, struct wr_entry *, const struct wr_breaker_event *)",
      function() note "event" end)
    a.callbacks.on_grant, a.callbacks.on_event = on_any_grant, on_any_event
    entries = { (breaker { consecutive = 1, failure_rate = 0 }), (bulkhead { max = 1 }) }
    local _, ticket = enter(a, entries[1], 1)
    c.wr_guard_leave(a, ticket, c.WR_OUTCOME_FAILURE, 2)
    local _, first = enter(a, entries[2], 3)
    assert.equal(c.WR_GUARD_QUEUED, (enter(a, entries[2], 3, NEVER)))
    c.wr_guard_leave(a, first, c.WR_OUTCOME_SUCCESS, 4)
    c.wr_guard_collect(a, 5)
    assert.same({ "event 0", "grant 0" }, seen)
    c.wr_registry_lock(registry, entries[1], entries[1].generation, 6)
    note "inside"
    c.wr_registry_unlock(registry, entries[1])
    assert.not_equal("inside 0", seen[3])
    a.callbacks.on_grant, a.callbacks.on_event = nil, nil
    on_any_grant:free()
    on_any_event:free()
  end)

  it("makes transitions by the master's timer, planned to the nanosecond", function()
    local entry, state = breaker { consecutive = 1, failure_rate = 0, open_jitter = 0 }
    local master = c.wr_slot_of(arena, 3)
    assert.equal(NEVER, c.wr_guard_advance(registry, 1, callbacks))
    local bells = tonumber(master.bells)
    enter(a, entry, 1)
    c.wr_guard_leave(a, id[0], c.WR_OUTCOME_FAILURE, 2)
    assert.equal(bells + 1, tonumber(master.bells))
    assert.equal(2 + 5 * SECOND, c.wr_guard_advance(registry, 3, callbacks))
    local half_open_end = c.wr_guard_advance(registry, 2 + 5 * SECOND, callbacks)
    assert.equal(c.WR_BREAKER_HALF_OPEN, state.state)
    assert.is_true(half_open_end > 5 * SECOND and half_open_end < 60 * SECOND)
    assert.same({ "recs closed>open", "recs open>half_open" }, events)
    assert.equal(NEVER, c.wr_guard_advance(registry, half_open_end, callbacks))
    assert.equal("recs half_open>closed", events[3])
  end)

  it("tells the transition of an operator's override", function()
    local entry = breaker()
    assert.is_true(c.wr_guard_breaker_force(registry, entry, c.WR_BREAKER_MODE_FORCED_OPEN, 1))
    c.wr_guard_advance(registry, 1, callbacks)
    assert.same({ "recs closed>forced_open" }, events)
    local copy = ffi.new("struct wr_breaker")
    assert.is_true(c.wr_guard_look(registry, entry, 2, copy))
    assert.equal(c.WR_BREAKER_FORCED_OPEN, c.wr_breaker_state(copy, 2))
  end)

  it("settles what a dead worker left: tickets cancelled, waiters gone, the next ones granted",
    function()
    local entry, state = bulkhead { max = 2 }
    local recs, recs_state = breaker()
    local _, theirs = enter(b, entry)
    enter(b, entry)
    enter(b, recs, 1)
    local _, waiting = enter(a, entry, 1, NEVER)
    enter(b, entry, 1, NEVER)
    assert.equal(4, c.wr_guard_settle_dead(registry, 1, 2, callbacks))
    assert.equal(0, c.wr_ledger_count(arena, 1))
    assert.equal(1, tonumber(recs_state.counters.cancelled))
    c.wr_guard_collect(a, 3)
    assert.equal(1, #grants)
    assert.equal(waiting, grants[1].id)
    assert.equal(1, state.in_use)
    assert.equal(0, state.queued)
    c.wr_ledger_fini(b.ledger)
    c.wr_guard_init(b, registry, 1, callbacks)
    assert.is_false(c.wr_guard_leave(b, theirs, c.WR_OUTCOME_SUCCESS, 4))
    assert.equal(1, state.in_use)
  end)

  it("frees the row of an admission whose entry was swept meanwhile", function()
    local entry = breaker { mode = c.WR_BREAKER_MODE_DISABLED }
    enter(a, entry, 1)
    local ref = c.wr_registry_ref(entry)
    entry.generation = ref.generation + 1
    assert.is_true(c.wr_guard_leave(a, id[0], c.WR_OUTCOME_SUCCESS, 2))
    assert.equal(0, c.wr_ledger_count(arena, 0))
  end)

  it("pays extra attempts from the budget that all workers share", function()
    local config = ffi.new("struct wr_budget_config")
    c.wr_budget_config_init(config)
    config.min = 2
    local entry = c.wr_registry_declare(registry, c.WR_KIND_BUDGET, str "recs", config, 1, err)
    assert.is_true(c.wr_guard_budget_withdraw(a, entry, SECOND))
    assert.is_true(c.wr_guard_budget_withdraw(b, entry, SECOND))
    assert.is_false(c.wr_guard_budget_withdraw(a, entry, SECOND))
    for _ = 1, 5 do c.wr_guard_budget_deposit(b, entry, SECOND) end
    assert.is_true(c.wr_guard_budget_withdraw(a, entry, SECOND))
    assert.is_false(c.wr_guard_budget_withdraw(b, entry, SECOND))
  end)

  it("changes nothing for the others in a privatised arena", function()
    local entry, state = bulkhead { max = 1 }
    assert.is_true(c.wr_arena_privatise(arena, err))
    local _, mine = enter(a, entry)
    assert.equal(1, state.in_use)
    assert.is_true(c.wr_guard_leave(a, mine, c.WR_OUTCOME_SUCCESS, 2))
    assert.is_true(c.wr_registry_declare(registry, c.WR_KIND_BULKHEAD, str "new",
      ffi.new("struct wr_bulkhead_config", { max = 1 }), 1, err) ~= nil)
  end)
end)
