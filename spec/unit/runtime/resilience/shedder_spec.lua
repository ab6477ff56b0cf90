local c, ffi = require "spec.support.c" ("resilience/shedder.h", "base/rng.h")

local MS = 1e6
local NEVER = 0xffffffffffffffffULL
local CRITICAL, NORMAL, LOW, BACKGROUND = 0, 2, 3, 4

--- A configuration with a fixed limit of `options.max`.
local function config(options)
  local k = ffi.new "struct wr_shedder_config"
  c.wr_shedder_config_init(k)
  for key, value in pairs(options or {}) do
    if key == "max" then
      k.limit.initial = value
    elseif key == "signals" then
      for signal, bound in pairs(value) do k.overload[signal] = bound end
    else
      k[key] = value
    end
  end
  return k
end

local function new(options)
  local s = ffi.new "struct wr_shedder"
  c.wr_shedder_init(s, config(options), 1, 0)
  return s
end

local function waiter(priority, deadline)
  local w = ffi.new "struct wr_shedder_waiter"
  w.until_ns, w.priority = deadline or NEVER, priority or NORMAL
  return w
end

local function name(result) return ffi.string(c.wr_shedder_result_name(result)) end

local function try(s, now, w) return name(c.wr_shedder_try(s, w or waiter(), now)) end

local function release(s, now, w)
  c.wr_shedder_release(s, w or waiter(), c.WR_OUTCOME_SUCCESS, now)
end

--- What `grant` tells until it has nothing more to tell: { "index result", … }.
local function grants(s, now, waiters)
  local list = {}
  while true do
    local w = c.wr_shedder_grant(s, now)
    if w == nil then return list end
    for i, mine in pairs(waiters) do
      if mine == w then list[#list + 1] = i .. " " .. name(w.result) end
    end
  end
end

--- A full shedder, and one waiter for each of `priorities`, queued a ms apart.
local function crowd(options, priorities)
  options.max = 1
  local s, waiters = new(options), {}
  try(s, 0)
  for i, priority in ipairs(priorities) do
    waiters[i] = waiter(priority)
    assert.equal("queued", try(s, i * MS, waiters[i]))
  end
  return s, waiters
end

describe("shedder", function()
  it("admits up to its limit and says why it refuses", function()
    -- options, the caller's deadline (0: does not wait), waiting already, result
    local cases = {
      { {}, 0, 0, "full" },
      { { queue = 0 }, NEVER, 0, "full" },
      { { wait_ns = 0 }, NEVER, 0, "full" },
      { { queue = 1 }, NEVER, 1, "queue_full" },
      { {}, NEVER, 1, "queued" },
      { {}, 10 * MS, 0, "expired" },
    }
    for i, case in ipairs(cases) do
      local options, deadline, before, want = unpack(case)
      options.max = 1
      local s, keep = new(options), {}
      assert.equal("admitted", try(s, 10 * MS))
      for j = 1, before do
        keep[j] = waiter()
        try(s, 10 * MS, keep[j])
      end
      assert.equal(want, try(s, 10 * MS, waiter(NORMAL, deadline)), "case " .. i)
    end
  end)

  it("serves the higher priority first, and equals as they came", function()
    local s, w = crowd({}, { BACKGROUND, NORMAL, CRITICAL, NORMAL })
    local order = {}
    for _ = 1, 4 do
      release(s, 5 * MS)
      order[#order + 1] = grants(s, 5 * MS, w)[1]
    end
    assert.same({ "3 admitted", "2 admitted", "4 admitted", "1 admitted" }, order)
  end)

  it("drops the newest of the lowest priority for a higher one when the queue is full", function()
    local s, w = crowd({ queue = 4 }, { LOW, BACKGROUND, BACKGROUND, NORMAL })
    w[5] = waiter(LOW)
    assert.equal("queued", try(s, 6 * MS, w[5]))
    assert.same({ "3 preempted" }, grants(s, 6 * MS, w))
    w[6] = waiter(CRITICAL)
    try(s, 7 * MS, w[6])
    assert.same({ "2 preempted" }, grants(s, 7 * MS, w))
    assert.equal("queue_full", try(s, 8 * MS, waiter(LOW)), "nobody is lower")
    w[7] = waiter(NORMAL)
    try(s, 8 * MS, w[7])
    assert.same({ "5 preempted" }, grants(s, 8 * MS, w))
    assert.equal(4, s.queued)
    assert.equal(2, tonumber(s.calls[c.WR_SHEDDER_PREEMPTED][BACKGROUND]))
  end)

  it("never takes away what was admitted", function()
    local s = new { max = 1, queue = 1 }
    try(s, 0, waiter(BACKGROUND))
    local w = { waiter(CRITICAL) }
    assert.equal("queued", try(s, 0, w[1]))
    assert.same({}, grants(s, 0, w))
  end)

  it("lets a waiter leave, and tells cancelled from late", function()
    local s, w = crowd({}, { NORMAL, LOW, LOW })
    assert.is_true(c.wr_shedder_leave(s, w[2], 5 * MS))
    assert.is_false(c.wr_shedder_leave(s, w[2], 5 * MS))
    assert.is_true(c.wr_shedder_leave(s, w[3], 200 * MS))
    assert.equal("left expired", name(w[2].result) .. " " .. name(w[3].result))
    assert.same({ "1 expired" }, grants(s, 200 * MS, w))
    assert.equal(0, s.queued)
  end)

  it("turns a class that stands in the queue to newest first and a short wait", function()
    local s, w = crowd({ wait_ns = 100 * MS }, { BACKGROUND })
    w[2] = waiter(BACKGROUND)
    try(s, 60 * MS, w[2])
    assert.same({ "1 expired" }, grants(s, 102 * MS, w))
    assert.is_true(c.wr_shedder_is_standing(s, BACKGROUND, 102 * MS))
    w[3], w[4] = waiter(BACKGROUND), waiter(CRITICAL)
    try(s, 102 * MS, w[3])
    try(s, 102 * MS, w[4])
    assert.equal(107 * MS, tonumber(w[3].until_ns), "5 ms, not 100")
    assert.equal(202 * MS, tonumber(w[4].until_ns), "its own class has just begun to wait")
    release(s, 103 * MS)
    assert.same({ "4 admitted" }, grants(s, 103 * MS, w))
    release(s, 104 * MS)
    assert.same({ "3 admitted" }, grants(s, 104 * MS, w), "the newest")
    c.wr_shedder_leave(s, w[2], 105 * MS)
    w[5] = waiter(BACKGROUND)
    try(s, 300 * MS, w[5])
    assert.is_false(c.wr_shedder_is_standing(s, BACKGROUND, 399 * MS))
  end)

  it("sheds by priority while a signal is past its bound", function()
    local s = new { max = 100, signals = { in_flight = 10 } }
    local signals = ffi.new "struct wr_overload_signals"
    signals.in_flight = 20
    for i = 1, 8 do c.wr_shedder_feed(s, signals, i * 100 * MS) end
    assert.equal("overloaded", try(s, 800 * MS, waiter(BACKGROUND)))
    assert.equal("overloaded", try(s, 800 * MS, waiter(LOW)))
    assert.equal("admitted", try(s, 800 * MS, waiter(NORMAL)))
    for i = 9, 100 do c.wr_shedder_feed(s, signals, i * 100 * MS) end
    assert.equal("overloaded", try(s, 10000 * MS, waiter(1)))
    assert.equal("admitted", try(s, 10000 * MS, waiter(CRITICAL)))
    signals.in_flight = 1
    c.wr_shedder_feed(s, signals, 60000 * MS)
    assert.equal("admitted", try(s, 60000 * MS, waiter(BACKGROUND)))
  end)

  it("learns from successes and failures alone", function()
    local k = config {}
    k.limit.rule, k.limit.initial = c.WR_ADAPTIVE_AIMD, 10
    local s = ffi.new "struct wr_shedder"
    c.wr_shedder_init(s, k, 1, 0)
    local function turn(from, outcome)
      for i = 1, 30 do
        local calls = {}
        for j = 1, 8 do
          calls[j] = waiter()
          try(s, from + i * 100 * MS, calls[j])
        end
        for j = 1, 8 do
          c.wr_shedder_release(s, calls[j], c["WR_OUTCOME_" .. outcome], from + (i * 100 + 10) * MS)
        end
      end
      return c.wr_shedder_limit(s)
    end
    assert.equal(10, turn(0, "CANCELLED"))
    assert.equal(10, turn(1e10, "IGNORED"))
    assert.is_true(turn(2e10, "SUCCESS") > 10)
    assert.is_true(turn(3e10, "FAILURE") < 10)
  end)

  it("takes the head's time for the latency, the end of the body for the slot", function()
    local k = config {}
    k.limit.rule, k.limit.initial, k.limit.samples = c.WR_ADAPTIVE_VEGAS, 10, 1
    local s, w = ffi.new "struct wr_shedder", waiter()
    c.wr_shedder_init(s, k, 1, 0)
    for i = 1, 2 do
      try(s, i * 2000 * MS, w)
      w.answered_ns = (i * 2000 + 30) * MS
      c.wr_shedder_release(s, w, c.WR_OUTCOME_SUCCESS, (i * 2000 + 900) * MS)
    end
    assert.equal(30 * MS, s.adaptive.latency_ns)
    try(s, 6000 * MS, w)
    c.wr_shedder_release(s, w, c.WR_OUTCOME_SUCCESS, 6900 * MS)
    assert.equal(900 * MS, s.adaptive.latency_ns, "it had no head of its own")
  end)

  it("refuses nothing in shadow mode, and counts what it would have", function()
    local s = new { max = 1, queue = 1, shadow = true }
    for _ = 1, 3 do assert.equal("admitted", try(s, 0)) end
    try(s, 0, waiter(NORMAL, 0))
    assert.equal(2, tonumber(s.shadow[c.WR_SHEDDER_QUEUED][NORMAL]))
    assert.equal(1, tonumber(s.shadow[c.WR_SHEDDER_FULL][NORMAL]))
    assert.equal(4, s.in_use)
  end)

  it("grants at once what a larger limit has room for", function()
    local s, w = crowd({}, { NORMAL, LOW, CRITICAL })
    c.wr_shedder_reconfigure(s, config { max = 3 })
    assert.same({ "3 admitted", "1 admitted" }, grants(s, 5 * MS, w))
    c.wr_shedder_reconfigure(s, config { max = 1, queue = 0 })
    assert.same({}, grants(s, 5 * MS, w))
    assert.equal(1, s.queued, "nobody is thrown out")
  end)

  it("refuses a configuration outside its bounds, and names the bound", function()
    local cases = { queue = 1e5, wait_ns = 1e18, max = 0 }
    for key, value in pairs(cases) do
      local message = ffi.string(c.wr_shedder_config_check(config { [key] = value }))
      local word = key == "max" and "initial" or key:gsub("_ns", "")
      assert.truthy(message:find(word, 1, true), message)
    end
    assert.is_true(c.wr_shedder_config_check(config()) == nil)
  end)
end)

local function rng(seed)
  local r = ffi.new "struct wr_rng"
  c.wr_rng_init(r, seed)
  return function(bound) return tonumber(c.wr_rng_below(r, bound)) end
end

local function random_config(below)
  local k = config { max = 1 + below(8), queue = below(8), wait_ns = below(4) * 20 * MS }
  k.shadow = below(20) == 0
  k.limit.rule = below(4)
  return k
end

--- Random calls against a shedder, with what each of them must keep true.
local function live(seed, steps, on_step)
  local below = rng(seed)
  local s = ffi.new "struct wr_shedder"
  c.wr_shedder_init(s, random_config(below), seed, 0)
  local now, held, waiting, untils = 0, {}, {}, {}
  local function check(ok, what)
    if not ok then error(("seed %d: %s"):format(seed, what), 0) end
  end
  local function grant()
    while true do
      local w = c.wr_shedder_grant(s, now)
      if w == nil then break end
      local at
      for i, mine in ipairs(waiting) do if mine == w then at = i end end
      check(at, "granted a waiter that does not wait")
      w = table.remove(waiting, at)
      if w.result == c.WR_SHEDDER_ADMITTED then
        held[#held + 1] = w
        check(untils[w] > now, "admitted too late")
        for _, other in ipairs(waiting) do
          check(other.priority >= w.priority or other.until_ns <= now, "a higher one waits")
        end
      elseif w.result == c.WR_SHEDDER_PREEMPTED then
        for _, other in ipairs(waiting) do
          check(other.priority <= w.priority, "preempted, and a lower one waits")
        end
      else
        check(w.result == c.WR_SHEDDER_EXPIRED and w.until_ns <= now, "expired too early")
      end
    end
    check(#waiting == 0 or s.in_use >= c.wr_shedder_limit(s), "a free slot and a waiter")
  end
  for _ = 1, steps do
    local dice = below(10)
    if dice < 4 then
      local deadline = below(3) == 0 and now + below(30 * MS) or nil
      local w = waiter(below(5), below(4) > 0 and deadline or 0)
      local free = c.wr_shedder_limit(s) - s.in_use
      local result = c.wr_shedder_try(s, w, now)
      if result == c.WR_SHEDDER_ADMITTED then
        held[#held + 1] = w
        check(s.config.shadow or free > 0, "admitted above the limit")
      elseif result == c.WR_SHEDDER_QUEUED then
        waiting[#waiting + 1], untils[w] = w, w.until_ns
        check(w.until_ns - now <= s.config.wait_ns, "a wait above the maximum")
      end
    elseif dice < 7 then
      if #held > 0 then
        c.wr_shedder_release(s, table.remove(held, 1 + below(#held)), below(4), now)
      end
    elseif dice < 8 then
      if #waiting > 0 then
        c.wr_shedder_leave(s, table.remove(waiting, 1 + below(#waiting)), now)
      end
    elseif dice < 9 then
      now = now + below(20 * MS)
    elseif below(10) == 0 then
      c.wr_shedder_reconfigure(s, random_config(below))
    end
    if on_step then on_step(s, held, waiting, below, now) end
    grant()
    check(s.in_use == #held, ("in use %d, held %d"):format(s.in_use, #held))
    check(s.queued == #waiting, ("queued %d, waiting %d"):format(s.queued, #waiting))
  end
  while #waiting > 0 do c.wr_shedder_leave(s, table.remove(waiting), now) end
  while #held > 0 do c.wr_shedder_release(s, table.remove(held), below(4), now) end
  check(s.in_use == 0 and s.queued == 0, "something is left at the end")
end

describe("shedder, whatever happens to it,", function()
  it("keeps its invariants", function()
    local first = os.time() * 1000
    for seed = first, first + 100 do live(seed, 400) end
  end)

  it("is repaired from the ledger, however torn", function()
    local first = os.time() * 1000
    local from = ffi.offsetof("struct wr_shedder", "adaptive")
    local size = ffi.sizeof "struct wr_shedder"
    for seed = first, first + 60 do
      live(seed, 300, function(s, held, waiting, below, now)
        if below(15) > 0 then return end
        local bytes = ffi.cast("uint8_t *", s)
        for _ = 1, 1 + below(60) do bytes[from + below(size - from)] = below(256) end
        for _, w in ipairs(waiting) do
          local links = ffi.cast("uint8_t *", w.link)
          for _ = 1, below(16) do links[below(16)] = below(256) end
        end
        c.wr_shedder_repair(s, #held, now)
        for _, w in ipairs(waiting) do c.wr_shedder_requeue(s, w) end
      end)
    end
  end)
end)
