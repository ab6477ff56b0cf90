local c, ffi = require "spec.support.c" ("resilience/breaker.h")

local MS, S = 1e6, 1e9
local SUCCESS, FAILURE = c.WR_OUTCOME_SUCCESS, c.WR_OUTCOME_FAILURE

--- Whole numbers below `bound` from one seed; the seed goes into every message.
local function rng(seed)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  return function(bound) return tonumber(c.wr_rng_below(r, bound)) end, r
end

local function random_config(below)
  local k = ffi.new("struct wr_breaker_config")
  c.wr_breaker_config_init(k)
  if below(2) == 0 then
    k.window_kind, k.window_size = c.WR_WINDOW_COUNT, 1 + below(100)
  else
    k.window_size = (1 + below(20)) * S
  end
  k.min_calls = 1 + below(20)
  k.failure_rate = below(5) / 4
  k.consecutive = below(3) * (1 + below(10))
  k.slow_call_ns = below(3) * 500 * MS
  k.slow_rate = k.slow_call_ns > 0 and below(5) / 4 or 0
  k.open_ns = (1 + below(5)) * S
  k.open_max_ns = k.open_ns * (1 + below(8))
  k.open_jitter = below(3) / 10
  k.probes = 1 + below(6)
  k.half_open_ns = below(3) * (1 + below(8)) * S
  k.probe_lease_ns = below(3) * (1 + below(4)) * S
  k.ramp_ns = below(2) * below(10) * S
  k.mode = below(6) == 0 and c.WR_BREAKER_MODE_SHADOW or c.WR_BREAKER_MODE_NORMAL
  assert(c.wr_breaker_config_check(k) == nil)
  return k
end

local World = {}
World.__index = World

local function new_world(seed)
  local below, r = rng(seed)
  local w = setmetatable({
    seed = seed, below = below, now = below(1e9), live = {}, settled = {}, seq = 0ULL,
    b = ffi.new("struct wr_breaker"), config = random_config(below),
  }, World)
  c.wr_breaker_init(w.b, w.config, r, w.now)
  w.last_to = w.b.state
  return w
end

function World:fail(what)
  error(("seed %d: %s"):format(self.seed, what), 0)
end

function World:check(ok, what)
  if not ok then self:fail(what) end
end

function World:try()
  local t, refusal = ffi.new("struct wr_ticket"), ffi.new("struct wr_breaker_refusal")
  if c.wr_breaker_try(self.b, self.now, t, refusal) then
    self.live[#self.live + 1] = t
  else
    self:check(c.wr_breaker_mode(self.b) ~= c.WR_BREAKER_MODE_SHADOW, "shadow refused a call")
  end
end

--- Settles a live ticket, and checks what it may change.
function World:settle()
  if #self.live == 0 then return end
  local t = table.remove(self.live, 1 + self.below(#self.live))
  c.wr_breaker_advance(self.b, self.now)
  local before = ffi.new("struct wr_breaker", self.b)
  local outcome = self.below(4)
  local counted = c.wr_breaker_settle(self.b, t, outcome, self.now)
  if t.generation ~= before.generation then
    -- Invariant 2: a stale result changes nothing but the stale counter.
    self:check(not counted, "a stale result counted")
    before.counters.stale = before.counters.stale + 1
    self:check(ffi.C.memcmp(before, self.b, ffi.sizeof(before)) == 0,
      "a stale result changed something")
  elseif outcome ~= SUCCESS and outcome ~= FAILURE then
    -- Invariant 12: not executed, not counted.
    self:check(self.b.generation == before.generation, "an ignored call caused a transition")
    self:check(self.b.counters.failed == before.counters.failed
      and self.b.counters.successful == before.counters.successful,
      "an ignored call moved a counter")
    self:check(self.b.window.ring.sum.total == before.window.ring.sum.total or
      self.b.window.kind == c.WR_WINDOW_TIME, "an ignored call entered the window")
  end
  -- Invariant 2: settled once.
  local again = ffi.new("struct wr_breaker", self.b)
  self:check(not c.wr_breaker_settle(self.b, t, self.below(4), self.now), "settled twice")
  self:check(ffi.C.memcmp(again, self.b, ffi.sizeof(again)) == 0,
    "the second settle changed something")
end

function World:count(kind)
  local n = 0
  for _, t in ipairs(self.live) do
    if t.kind == kind and t.generation == self.b.generation then n = n + 1 end
  end
  return n
end

function World:check_invariants()
  local b, k = self.b, self.b.config
  -- Invariant 1: probes are bounded, and so is the stay in half-open.
  local probes = b.probes.live + b.probes.succeeded + b.probes.failed
  self:check(probes <= math.max(k.probes, self.most_probes or 0), "too many probes")
  self:check(b.probes.live <= self:count(c.WR_TICKET_PROBE), "more leases than probes")
  if b.state == c.WR_BREAKER_HALF_OPEN then
    local longest = tonumber(c.wr_breaker_config_half_open(k))
    local entered = tonumber(b.since_ns)
    local copy = ffi.new("struct wr_breaker", b)
    c.wr_breaker_advance(copy, entered + math.max(longest, self.longest or 0))
    self:check(copy.generation ~= b.generation, "half-open does not end")
  end
  -- Invariant 3, the breaker's part: what is in flight is what was admitted and not settled.
  self:check(b.inflight.count == self:count(c.WR_TICKET_NORMAL), "in flight " .. b.inflight.count)
  -- State is a function of the clock: asking and advancing agree.
  local copy = ffi.new("struct wr_breaker", b)
  local later = self.now + self.below(20 * S)
  local told = c.wr_breaker_state(b, later)
  c.wr_breaker_advance(copy, later)
  self:check(copy.state == told, "the state told is not the state reached")
  self:check(ffi.cast("uint64_t", self.now) < c.wr_breaker_next_ns(copy),
    "a due time is left behind")
  local s = ffi.new("struct wr_breaker_stats")
  c.wr_breaker_stats(copy, later, s)
  self:check(s.failures <= s.calls and s.slow <= s.calls, "parts exceed the whole")
end

--- Invariant 9: numbered without a gap, each from where the one before led.
function World:check_events()
  local e = ffi.new("struct wr_breaker_event")
  while c.wr_breaker_take_event(self.b, e) do
    self:check(e.seq == self.seq + 1, "sequence " .. tostring(e.seq))
    self:check(e.from == self.last_to, "an event does not follow the one before")
    self:check(e.to ~= e.from, "an event without a change")
    self.seq, self.last_to = self.seq + 1, e.to
  end
end

function World:reconfigure()
  local k = random_config(self.below)
  self.most_probes = math.max(self.most_probes or 0, self.b.config.probes, k.probes)
  self.longest = math.max(self.longest or 0, tonumber(c.wr_breaker_config_half_open(self.b.config)))
  c.wr_breaker_reconfigure(self.b, k, self.now)
end

function World:step()
  local dice = self.below(100)
  if dice < 45 then
    self:try()
  elseif dice < 85 then
    self:settle()
  elseif dice < 86 then
    self:reconfigure()
  elseif dice < 87 then
    c.wr_breaker_force(self.b, self.below(5) < 2 and self.below(5) or 0, self.now)
  elseif dice < 89 then
    c.wr_breaker_hold(self.b, self.below(3) == 0, self.now)
  elseif dice < 97 then
    self.now = self.now + self.below(100 * MS)
  elseif dice < 98 then
    self.now = self.now - math.min(self.now, self.below(2 * MS)) -- another worker's older clock
  else
    self.now = self.now + self.below(8 * S)
    c.wr_breaker_advance(self.b, self.now)
  end
end

describe("breaker, whatever happens to it,", function()
  ffi.cdef "int memcmp(const void *a, const void *b, size_t n);"

  it("keeps its invariants", function()
    local first = os.time() * 1000
    for seed = first, first + 60 do
      local w = new_world(seed)
      for _ = 1, 600 do
        w:step()
        w:check_events()
        if w.b.state ~= c.WR_BREAKER_DISABLED then w:check_invariants() end
      end
    end
  end)

  it("recovers once its upstream does", function()
    local first = os.time() * 1000
    for seed = first, first + 60 do
      local w = new_world(seed)
      w.config.slow_rate, w.config.mode = 0, 0
      c.wr_breaker_reconfigure(w.b, w.config, w.now)
      for _ = 1, 300 do w:step() end
      c.wr_breaker_force(w.b, 0, w.now)
      c.wr_breaker_hold(w.b, false, w.now)
      w.config.mode = 0
      c.wr_breaker_reconfigure(w.b, w.config, w.now)
      local refused = 0
      for _ = 1, 20000 do
        local t, refusal = ffi.new("struct wr_ticket"), ffi.new("struct wr_breaker_refusal")
        if c.wr_breaker_try(w.b, w.now, t, refusal) then
          c.wr_breaker_settle(w.b, t, SUCCESS, w.now)
          refused = 0
        else
          refused = refused + 1
        end
        w.now = w.now + 10 * MS
        w:check(refused < 15000, "refuses a healthy upstream for 150 s")
      end
      w:check(c.wr_breaker_state(w.b, w.now) == c.WR_BREAKER_CLOSED, "did not close")
    end
  end)

  it("decides the same for the same trace and seed", function()
    -- Invariant 8: no clock but the one it is given.
    local seed = os.time()
    local digests = {}
    for run = 1, 2 do
      local w = new_world(seed)
      for _ = 1, 1000 do w:step() end
      digests[run] = ffi.string(w.b, ffi.sizeof(w.b))
    end
    assert.is_true(digests[1] == digests[2], "seed " .. seed)
  end)
end)

describe("breaker repair", function()
  local function is_sane(w, b)
    w:check(b.state < c.WR_BREAKER_STATES, "state")
    w:check(c.wr_breaker_config_check(b.config) == nil, "config")
    w:check(b.events.count <= 16 and b.events.first < 16, "event ring")
    w:check(b.probes.live + b.probes.succeeded + b.probes.failed <= 2 * b.config.probes, "probes")
    local s = ffi.new("struct wr_breaker_stats")
    c.wr_breaker_stats(b, w.now, s)
    w:check(s.failures <= s.calls and s.slow <= s.calls, "sums")
    w:check(s.failure_rate >= 0 and s.failure_rate <= 1, "rate")
  end

  --- From here on it must behave: events in order, invariants, an end of every state.
  local function lives_on(w)
    w.live = {}
    local e = ffi.new("struct wr_breaker_event")
    while c.wr_breaker_take_event(w.b, e) do end
    w.seq, w.last_to = w.b.events.seq, w.b.state
    c.wr_breaker_force(w.b, 0, w.now)
    w.most_probes, w.longest = 16, 3600 * S
    for _ = 1, 200 do
      w:step()
      w:check_events()
    end
  end

  it("makes a breaker valid whose derived bytes are random", function()
    local first = os.time() * 1000
    local from = ffi.offsetof("struct wr_breaker", "generation")
    local size = ffi.sizeof "struct wr_breaker"
    for seed = first, first + 300 do
      local w = new_world(seed)
      for _ = 1, 200 do w:step() end
      local bytes = ffi.cast("uint8_t *", w.b)
      for _ = 1, 1 + w.below(400) do bytes[from + w.below(size - from)] = w.below(256) end
      c.wr_breaker_repair(w.b, 0, 0, w.now)
      is_sane(w, w.b)
      w:check(w.b.inflight.count == 0 and w.b.probes.live == 0, "live calls appear from nowhere")
      lives_on(w)
    end
  end)

  it("makes a breaker valid whose every byte is random", function()
    local first = os.time() * 1000
    for seed = first, first + 300 do
      local w = new_world(seed)
      local bytes = ffi.cast("uint8_t *", w.b)
      for i = 0, ffi.sizeof "struct wr_breaker" - 1 do bytes[i] = w.below(256) end
      c.wr_breaker_repair(w.b, 5, 2, w.now)
      is_sane(w, w.b)
      lives_on(w)
    end
  end)

  it("changes nothing in a breaker that is whole", function()
    local first = os.time() * 1000
    for seed = first, first + 100 do
      local w = new_world(seed)
      for _ = 1, 200 do w:step() end
      -- By an older clock than the one that changed it last, its times are not whole.
      w.now = math.max(w.now, tonumber(w.b.since_ns))
      c.wr_breaker_advance(w.b, w.now)
      local before = ffi.new("struct wr_breaker_stats")
      c.wr_breaker_stats(w.b, w.now, before)
      local generation, seq = w.b.generation, w.b.events.seq
      c.wr_breaker_repair(w.b, w:count(c.WR_TICKET_NORMAL), w.b.probes.live, w.now)
      local after = ffi.new("struct wr_breaker_stats")
      c.wr_breaker_stats(w.b, w.now, after)
      w:check(generation == w.b.generation and seq == w.b.events.seq, "a transition")
      w:check(before.calls == after.calls and before.failures == after.failures
        and before.overdue == after.overdue and before.probes == after.probes
        and before.retry_after_ns == after.retry_after_ns and before.state == after.state,
        ("other figures: calls %d %d failures %d %d overdue %d %d probes %d %d after %s %s"):format(
          before.calls, after.calls, before.failures, after.failures, before.overdue, after.overdue,
          before.probes, after.probes, tostring(before.retry_after_ns),
          tostring(after.retry_after_ns)))
    end
  end)

  it("lets no state end before it began", function()
    local w = new_world(1)
    w.b.state, w.b.events.reported = c.WR_BREAKER_OPEN, c.WR_BREAKER_OPEN
    w.b.since_ns, w.b.until_ns = w.now, 0
    c.wr_breaker_repair(w.b, 0, 0, w.now)
    c.wr_breaker_advance(w.b, w.now)
    local e = ffi.new("struct wr_breaker_event")
    assert.is_true(c.wr_breaker_take_event(w.b, e))
    assert.equal(w.now, tonumber(e.at_ns))
  end)

  it("opens a half-open breaker whose probes contradict the ledger", function()
    local w = new_world(1)
    local k = ffi.new("struct wr_breaker_config")
    c.wr_breaker_config_init(k)
    k.open_jitter = 0
    c.wr_breaker_reconfigure(w.b, k, w.now)
    for _ = 1, 20 do w:try() end
    for _, t in ipairs(w.live) do c.wr_breaker_settle(w.b, t, FAILURE, w.now) end
    w.now = w.now + 5 * S
    w:try()
    assert.equal(c.WR_BREAKER_HALF_OPEN, w.b.state)
    c.wr_breaker_repair(w.b, 0, 1, w.now)
    assert.equal(c.WR_BREAKER_HALF_OPEN, w.b.state)
    c.wr_breaker_repair(w.b, 0, 0, w.now)
    assert.equal(c.WR_BREAKER_OPEN, w.b.state)
    w:check_events()
  end)
end)
