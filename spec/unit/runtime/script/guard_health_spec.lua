-- Health checks and flags behind the guard: two workers, a master, one arena.
jit.off(true, true)
local c, ffi = require "spec.support.c" ("script/guard.h", "arena/slot.h")
local open = require "spec.support.arena"

local S = 1e9

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

describe("behind the guard", function()
  local arena, registry, err, a, b, told, callbacks

  local words = {
    [c.WR_KIND_BREAKER] = function(event)
      return ffi.string(c.wr_breaker_cause_name(event.breaker.cause))
    end,
    [c.WR_KIND_HEALTH] = function(event)
      return ffi.string(c.wr_health_verdict_name(event.health.to))
    end,
    [c.WR_KIND_FLAG] = function(event)
      return ("%d>%d %s"):format(event.flag.from, event.flag.to, ffi.string(event.flag.why))
    end,
  }
  local on_event = ffi.cast("void (*)(void *, struct wr_entry *, const union wr_guard_event *)",
    function(_, entry, event) told[#told + 1] = words[entry.kind](event) end)

  before_each(function()
    arena = assert(open(c, ffi, { ledger_rows = 64 }))
    registry, err = ffi.new("struct wr_registry"), ffi.new("struct wr_error")
    c.wr_guard_registry(registry, arena)
    callbacks = ffi.new("struct wr_guard_callbacks", { on_event = on_event })
    a, b = ffi.new("struct wr_guard"), ffi.new("struct wr_guard")
    c.wr_guard_init(a, registry, 0, callbacks)
    c.wr_guard_init(b, registry, 1, callbacks)
    told = {}
  end)
  after_each(function()
    c.wr_guard_fini(a, S)
    c.wr_guard_fini(b, S)
    c.wr_arena_fini(arena)
  end)

  local function declare(kind, name, config)
    local entry = c.wr_registry_declare(registry, kind, str(name), config, 0, err)
    assert(entry ~= nil, ffi.string(err.message))
    return entry
  end

  local function health(options)
    local config = ffi.new("struct wr_health_config")
    c.wr_health_config_init(config)
    config.rise, config.fall, config.jitter = 1, 1, 0
    for key, value in pairs(options or {}) do config[key] = value end
    local entry = declare(c.WR_KIND_HEALTH, "db", config)
    return entry, ffi.cast("struct wr_health *", entry.state)
  end

  local function breaker(tie)
    local config = ffi.new("struct wr_breaker_config")
    c.wr_breaker_config_init(config)
    config.health = tie
    local entry = declare(c.WR_KIND_BREAKER, "db", config)
    return entry, ffi.cast("struct wr_breaker *", entry.state)
  end

  -- The turn to check: the row's id and the claim, or nil and when to ask again.
  local function claim(guard, entry, now)
    local ask = ffi.new("struct wr_guard_ask")
    if c.wr_guard_enter(guard, entry, ask, now, err) == c.WR_GUARD_ADMITTED then
      return ask.id, ask.why.numbers[0]
    end
    return nil, tonumber(ask.why.after_ns)
  end

  local function report(guard, entry, now, kind)
    local id, number = claim(guard, entry, now)
    assert(id, "it is not due")
    local result = ffi.new("struct wr_health_result", { at_ns = now, error = kind })
    c.wr_guard_health_report(registry, entry, number, result, "words")
    assert.is_true(c.wr_guard_leave(guard, id, c.WR_OUTCOME_IGNORED, now))
  end

  local function advance(now)
    return c.wr_guard_advance(registry, now, callbacks)
  end

  it("a check is one worker's turn, and the other is told when to come back", function()
    local entry = health { timeout_ns = S }
    assert.truthy((claim(a, entry, 0)))
    local none, after = claim(b, entry, S)
    assert.is_nil(none)
    assert.equal(S, after)
  end)

  it("the turn of a dead worker is another's at once, and its row is settled", function()
    local entry, state = health { timeout_ns = 60 * S }
    claim(a, entry, 0)
    assert.equal(1, c.wr_guard_settle_dead(registry, 0, S, callbacks))
    assert.equal(1, tonumber(state.lost))
    assert.truthy((claim(b, entry, S)))
  end)

  it("a turn that is left without a result is given back, one with a result is not", function()
    local entry, state = health { interval_ns = 5 * S }
    local id = claim(a, entry, 0)
    c.wr_guard_leave(a, id, c.WR_OUTCOME_CANCELLED, 0)
    report(b, entry, 0, 0)
    assert.equal(1, tonumber(state.passed))
    local none, after = claim(a, entry, 0)
    assert.is_nil(none)
    assert.equal(5 * S, after)
  end)

  it("a verdict is told once, by whoever comes first", function()
    local entry = health { interval_ns = S }
    report(a, entry, 0, c.WR_ERROR_CONNECT)
    assert.same({ "down" }, told)
    advance(1)
    report(a, entry, S, c.WR_ERROR_CONNECT)
    report(b, entry, 2 * S, 0)
    advance(2 * S)
    assert.same({ "down", "up" }, told)
  end)

  it("a check that is down holds the breakers that are tied to it, and no other", function()
    local entry = health { interval_ns = S }
    local _, tied = breaker(c.wr_guard_health_tie(entry))
    local config = ffi.new("struct wr_breaker_config")
    c.wr_breaker_config_init(config)
    local other = ffi.cast("struct wr_breaker *",
      declare(c.WR_KIND_BREAKER, "other", config).state)
    report(a, entry, 0, c.WR_ERROR_CONNECT)
    assert.equal(c.WR_BREAKER_OPEN, tied.state)
    assert.equal(c.WR_BREAKER_CLOSED, other.state)
    report(a, entry, S, 0)
    assert.equal(c.WR_BREAKER_HALF_OPEN, tied.state)
    advance(S)
    table.sort(told)
    assert.same({ "down", "health_down", "health_up", "up" }, told)
  end)

  it("a breaker that comes to a check that is down follows at the master's next look", function()
    local entry = health()
    report(a, entry, 0, c.WR_ERROR_CONNECT)
    local made, state = breaker(c.wr_guard_health_tie(entry))
    assert.equal(c.WR_BREAKER_CLOSED, state.state)
    c.wr_guard_health_spread(registry, S)
    assert.equal(c.WR_BREAKER_OPEN, state.state)
    local config = ffi.new("struct wr_breaker_config", state.config)
    config.health = 0
    c.wr_registry_reconcile(registry, made, config, 2 * S)
    c.wr_guard_health_spread(registry, 2 * S)
    assert.equal(c.WR_BREAKER_HALF_OPEN, state.state)
  end)

  it("a tie to what is gone holds nothing", function()
    local _, state = breaker(7 * 2 ^ 32 + 3)
    c.wr_guard_health_spread(registry, S)
    assert.equal(c.WR_BREAKER_CLOSED, state.state)
  end)

  it("a flag's change is told once, whoever made it, and a reload's too", function()
    local config = ffi.new("struct wr_flag_config", { share = 1000000 })
    local entry = declare(c.WR_KIND_FLAG, "x", config)
    local order = ffi.new("struct wr_guard_flag_order",
      { share = 0, actor = c.WR_FLAG_ACTOR_OPERATOR, why = str "incident" })
    assert.is_true(c.wr_guard_flag_order(registry, entry, order, S))
    advance(S)
    advance(S)
    c.wr_registry_reconcile(registry, entry, ffi.new("struct wr_flag_config", { share = 10 }),
      2 * S)
    advance(2 * S)
    order = ffi.new("struct wr_guard_flag_order", { is_reset = true })
    assert.is_true(c.wr_guard_flag_order(registry, entry, order, 3 * S))
    advance(3 * S)
    c.wr_registry_reconcile(registry, entry, config, 4 * S)
    advance(4 * S)
    assert.same({ "1000000>0 incident", "0>10 ", "10>1000000 " }, told)
  end)

  it("a flag that an operator set is not forgotten with its declaration", function()
    local entry = declare(c.WR_KIND_FLAG, "x", ffi.new("struct wr_flag_config", { share = 0 }))
    local order = ffi.new("struct wr_guard_flag_order", { share = 5 })
    c.wr_guard_flag_order(registry, entry, order, 0)
    assert.equal(0, c.wr_registry_sweep(registry, 0))
    assert.equal(0, c.wr_registry_sweep(registry, 3600 * S))
    order.is_reset = true
    c.wr_guard_flag_order(registry, entry, order, 3600 * S)
    c.wr_registry_sweep(registry, 3600 * S)
    assert.equal(1, c.wr_registry_sweep(registry, 7200 * S))
  end)
end)
