local c, ffi = require "spec.support.c" ("resilience/bulkhead.h", "base/rng.h")

local MS = 1e6
local NEVER = 0xffffffffffffffffULL

local function config(options)
  local k = ffi.new("struct wr_bulkhead_config")
  c.wr_bulkhead_config_init(k)
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local b = ffi.new("struct wr_bulkhead")
  c.wr_bulkhead_init(b, config(options), 0)
  return b
end

local function waiter(deadline)
  local w = ffi.new("struct wr_bulkhead_waiter")
  w.until_ns = deadline or NEVER
  return w
end

local function name(result)
  return ffi.string(c.wr_bulkhead_result_name(result))
end

local function try(b, now, w)
  return name(c.wr_bulkhead_try(b, now, w))
end

--- What `grant` tells until it has nothing more to tell: { {waiter's index, result}, … }.
local function grants(b, now, waiters)
  local list = {}
  while true do
    local w = c.wr_bulkhead_grant(b, now)
    if w == nil then return list end
    for i, mine in pairs(waiters) do
      if mine == w then list[#list + 1] = i .. " " .. name(w.result) end
    end
  end
end

describe("bulkhead", function()
  it("admits up to its maximum and refuses who may not wait", function()
    local b = new { max = 2 }
    assert.equal("admitted", try(b, 0))
    assert.equal("admitted", try(b, 0))
    assert.equal("full", try(b, 0))
    c.wr_bulkhead_release(b)
    assert.equal("admitted", try(b, 0))
    assert.equal(2, b.in_use)
  end)

  it("says why it refuses", function()
    -- options, waiter's deadline (false: no waiter), waiting already, result, reason
    local cases = {
      { {}, false, 0, "full", "no waiter was given" },
      { { queue = 0 }, NEVER, 0, "full", "there is no queue" },
      { { wait_ns = 0 }, NEVER, 0, "full", "there is no waiting time" },
      { { queue = 1 }, NEVER, 1, "queue_full", "one is waiting already" },
      { { queue = 2 }, NEVER, 1, "queued", "room for another" },
      { {}, 10 * MS, 0, "expired", "the caller's deadline is now" },
      { {}, 10 * MS + 1, 0, "queued", "the caller has time left" },
    }
    for _, case in ipairs(cases) do
      local options, deadline, before, want, reason = unpack(case)
      options.max = 1
      local b = new(options)
      try(b, 10 * MS)
      local keep = {}
      for i = 1, before do
        keep[i] = waiter()
        try(b, 10 * MS, keep[i])
      end
      local w = deadline and waiter(deadline) or nil
      assert.equal(want, try(b, 10 * MS, w), reason)
      if w then assert.equal(want, name(w.result), reason) end
    end
  end)

  it("serves waiters first come, first served", function()
    local b = new { max = 1 }
    try(b, 0)
    local w = { waiter(), waiter(), waiter() }
    for i = 1, 3 do assert.equal("queued", try(b, i, w[i])) end
    assert.same({}, grants(b, 4, w), "no slot is free")
    c.wr_bulkhead_release(b)
    assert.same({ "1 admitted" }, grants(b, 4, w))
    c.wr_bulkhead_release(b)
    assert.same({ "2 admitted" }, grants(b, 4, w))
    assert.equal(1, b.in_use)
  end)

  it("lets nobody overtake the queue", function()
    local b = new { max = 1 }
    try(b, 0)
    local w = { waiter(), waiter() }
    try(b, 0, w[1])
    c.wr_bulkhead_release(b)
    assert.equal("full", try(b, 0), "a slot is free, but it belongs to the queue")
    assert.equal("queued", try(b, 0, w[2]))
    assert.same({ "1 admitted" }, grants(b, 0, w))
  end)

  it("refuses a waiter whose time is over, with or without a free slot", function()
    local b = new { max = 1, wait_ns = 50 * MS }
    try(b, 0)
    local w = { waiter(), waiter(20 * MS), waiter() }
    try(b, 0, w[1])
    try(b, 0, w[2])
    try(b, 10 * MS, w[3])
    assert.equal(50 * MS, tonumber(w[1].until_ns))
    assert.equal(20 * MS, tonumber(w[2].until_ns), "its own deadline is earlier")
    assert.same({ "1 expired", "2 expired" }, grants(b, 50 * MS, w))
    c.wr_bulkhead_release(b)
    assert.same({ "3 admitted" }, grants(b, 59 * MS, w))
    assert.equal(2, tonumber(b.counters.expired))
  end)

  it("lets a waiter leave, and tells cancelled from late", function()
    local b = new { max = 1, wait_ns = 50 * MS }
    try(b, 0)
    local w = { waiter(), waiter(), waiter() }
    for i = 1, 3 do try(b, 0, w[i]) end
    assert.is_true(c.wr_bulkhead_leave(b, w[2], 1))
    assert.is_false(c.wr_bulkhead_leave(b, w[2], 1))
    assert.equal("left", name(w[2].result))
    assert.is_true(c.wr_bulkhead_leave(b, w[3], 50 * MS))
    assert.equal("expired", name(w[3].result))
    c.wr_bulkhead_release(b)
    assert.same({ "1 admitted" }, grants(b, 1, w))
    assert.is_false(c.wr_bulkhead_leave(b, w[1], 1), "it holds a slot and must release it")
    assert.same({ 1, 1 }, { tonumber(b.counters.left), tonumber(b.counters.expired) })
  end)

  it("takes zeroed memory for a waiter that is not in the queue", function()
    assert.equal("left", name(ffi.new("struct wr_bulkhead_waiter").result))
    assert.is_false(c.wr_bulkhead_leave(new(), ffi.new("struct wr_bulkhead_waiter"), 0))
  end)
end)

describe("resized bulkhead", function()
  it("admits none until enough have ended, and throws nobody out", function()
    local b = new { max = 4, queue = 4 }
    for _ = 1, 4 do try(b, 0) end
    local w = { waiter(), waiter(), waiter() }
    for i = 1, 3 do try(b, 0, w[i]) end
    c.wr_bulkhead_reconfigure(b, config { max = 2, queue = 1 })
    assert.equal(3, b.queued)
    c.wr_bulkhead_release(b)
    c.wr_bulkhead_release(b)
    assert.same({}, grants(b, 0, w))
    c.wr_bulkhead_release(b)
    assert.same({ "1 admitted" }, grants(b, 0, w))
    assert.equal("queue_full", try(b, 0, waiter()))
  end)

  it("grants at once what a larger maximum has room for", function()
    local b = new { max = 1 }
    try(b, 0)
    local w = { waiter(), waiter(), waiter() }
    for i = 1, 3 do try(b, 0, w[i]) end
    c.wr_bulkhead_reconfigure(b, config { max = 3 })
    assert.same({ "1 admitted", "2 admitted" }, grants(b, 0, w))
  end)

  it("refuses a configuration outside its bounds, and names the bound", function()
    local cases = {
      { { max = 0 }, "max" }, { { max = 2e6 }, "max" }, { { queue = 1e5 }, "queue" },
      { { wait_ns = 1e18 }, "wait" }, { { order = 9 }, "order" },
      { { target_ns = 1e18 }, "target" },
      { { interval_ns = 1e18 }, "interval" },
    }
    for _, case in ipairs(cases) do
      local message = c.wr_bulkhead_config_check(config(case[1]))
      assert.truthy(ffi.string(message):find(case[2], 1, true), case[2])
    end
    assert.is_true(c.wr_bulkhead_config_check(config()) == nil)
  end)
end)

describe("adaptive bulkhead", function()
  local function overloaded()
    local b = new { max = 1, order = c.WR_BULKHEAD_ADAPTIVE, wait_ns = 500 * MS }
    try(b, 0)
    local w = { waiter() }
    try(b, 1 * MS, w[1])
    return b, w
  end

  it("serves the oldest while the queue empties now and then", function()
    local b, w = overloaded()
    w[2] = waiter()
    try(b, 100 * MS, w[2])
    assert.is_false(c.wr_bulkhead_is_overloaded(b, 101 * MS))
    c.wr_bulkhead_release(b)
    assert.same({ "1 admitted" }, grants(b, 101 * MS, w))
  end)

  it("serves the newest, who waits shortly, when the queue has not been empty", function()
    local b, w = overloaded()
    assert.is_true(c.wr_bulkhead_is_overloaded(b, 102 * MS))
    w[2], w[3] = waiter(), waiter()
    try(b, 102 * MS, w[2])
    try(b, 103 * MS, w[3])
    assert.equal(107 * MS, tonumber(w[2].until_ns), "5 ms, not 500")
    c.wr_bulkhead_release(b)
    assert.same({ "3 admitted" }, grants(b, 104 * MS, w))
  end)

  it("turns back when the queue has been empty", function()
    local b, w = overloaded()
    c.wr_bulkhead_leave(b, w[1], 300 * MS)
    w[2], w[3] = waiter(), waiter()
    try(b, 350 * MS, w[2])
    try(b, 351 * MS, w[3])
    assert.is_false(c.wr_bulkhead_is_overloaded(b, 352 * MS))
    assert.equal(850 * MS, tonumber(w[2].until_ns))
    c.wr_bulkhead_release(b)
    assert.same({ "2 admitted" }, grants(b, 352 * MS, w))
  end)

  it("tells the oldest too when their time is over", function()
    local b, w = overloaded()
    w[2] = waiter()
    try(b, 501 * MS, w[2])
    assert.same({ "1 expired" }, grants(b, 501 * MS, w))
  end)
end)

describe("bulkhead in shadow mode", function()
  it("admits everything and counts what it would have done", function()
    local b = new { max = 1, queue = 1, shadow = true }
    assert.equal("admitted", try(b, 0))
    assert.equal("admitted", try(b, 0))
    assert.equal("admitted", try(b, 0, waiter()))
    assert.equal(1, tonumber(b.counters.shadow_refused))
    assert.equal(1, tonumber(b.counters.shadow_queued))
    assert.equal(3, b.in_use)
  end)

  it("frees the queue it was given", function()
    local b = new { max = 1 }
    try(b, 0)
    local w = { waiter(), waiter() }
    try(b, 0, w[1])
    try(b, 0, w[2])
    c.wr_bulkhead_reconfigure(b, config { max = 1, shadow = true })
    assert.same({ "1 admitted", "2 admitted" }, grants(b, 0, w))
  end)
end)

local function rng(seed)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  return function(bound) return tonumber(c.wr_rng_below(r, bound)) end
end

local function random_config(below)
  return config {
    max = 1 + below(8), queue = below(8), wait_ns = below(4) * 20 * MS, order = below(2),
    shadow = below(20) == 0,
  }
end

--- Random calls against a bulkhead, with what each of them must keep true.
local function live(seed, steps, on_step)
  local below = rng(seed)
  local k = random_config(below)
  local b = ffi.new("struct wr_bulkhead")
  c.wr_bulkhead_init(b, k, 0)
  local now, held, waiting = 0, 0, {}
  local function check(ok, what)
    if not ok then error(("seed %d: %s"):format(seed, what), 0) end
  end
  local function grant()
    while true do
      local w = c.wr_bulkhead_grant(b, now)
      if w == nil then break end
      local at
      for i, mine in ipairs(waiting) do if mine == w then at = i end end
      check(at, "granted a waiter that does not wait")
      table.remove(waiting, at)
      if w.result == c.WR_BULKHEAD_ADMITTED then
        held = held + 1
        check(w.until_ns > now, "admitted too late")
        check(b.config.shadow or held <= b.config.max, "admitted above the maximum")
      else
        check(w.result == c.WR_BULKHEAD_EXPIRED and w.until_ns <= now, "expired too early")
      end
    end
    -- Work-conserving: nobody waits while a slot is free.
    check(#waiting == 0 or b.in_use >= b.config.max, "a free slot and a waiter")
  end
  for _ = 1, steps do
    local dice = below(10)
    if dice < 4 then
      local w = below(4) > 0 and waiter(below(3) == 0 and now + below(30 * MS) or nil) or nil
      local result = c.wr_bulkhead_try(b, now, w)
      if result == c.WR_BULKHEAD_ADMITTED then
        held = held + 1
        check(b.config.shadow or held <= b.config.max, "admitted above the maximum")
      elseif result == c.WR_BULKHEAD_QUEUED then
        waiting[#waiting + 1] = w
        check(#waiting <= b.config.queue, "queued above the maximum")
        check(w.until_ns - now <= b.config.wait_ns, "a wait above the maximum")
      end
    elseif dice < 7 then
      if held > 0 then
        c.wr_bulkhead_release(b)
        held = held - 1
      end
    elseif dice < 8 then
      if #waiting > 0 then
        c.wr_bulkhead_leave(b, table.remove(waiting, 1 + below(#waiting)), now)
      end
    elseif dice < 9 then
      now = now + below(20 * MS)
    elseif below(10) == 0 then
      c.wr_bulkhead_reconfigure(b, random_config(below))
    end
    if on_step then on_step(b, held, waiting, below, now) end
    grant()
    -- Invariant 3: slots in use are the calls that hold one.
    check(b.in_use == held, ("in use %d, held %d"):format(b.in_use, held))
    check(b.queued == #waiting, ("queued %d, waiting %d"):format(b.queued, #waiting))
  end
  while #waiting > 0 do c.wr_bulkhead_leave(b, table.remove(waiting), now) end
  for _ = 1, held do c.wr_bulkhead_release(b) end
  check(b.in_use == 0 and b.queued == 0, "something is left at the end")
end

describe("bulkhead, whatever happens to it,", function()
  it("keeps its invariants", function()
    local first = os.time() * 1000
    for seed = first, first + 100 do live(seed, 400) end
  end)

  it("is repaired from the ledger, in order, however torn", function()
    local first = os.time() * 1000
    local from = ffi.offsetof("struct wr_bulkhead", "in_use")
    local size = ffi.sizeof "struct wr_bulkhead"
    for seed = first, first + 60 do
      live(seed, 300, function(b, held, waiting, below, now)
        if below(15) > 0 then return end
        local bytes = ffi.cast("uint8_t *", b)
        for _ = 1, 1 + below(60) do bytes[from + below(size - from)] = below(256) end
        for _, w in ipairs(waiting) do
          local links = ffi.cast("uint8_t *", w.link)
          for _ = 1, below(16) do links[below(16)] = below(256) end
        end
        c.wr_bulkhead_repair(b, held, now)
        local order = {}
        for i, w in ipairs(waiting) do order[i] = w end
        for i = #order, 2, -1 do
          local j = 1 + below(i)
          order[i], order[j] = order[j], order[i]
        end
        for _, w in ipairs(order) do c.wr_bulkhead_requeue(b, w) end
        local node, last = b.all.waiters.next, 0
        for _ = 1, #waiting do
          local w = ffi.cast("struct wr_bulkhead_waiter *", node)
          if w.since_ns < last then error("seed " .. seed .. ": out of order", 0) end
          last, node = w.since_ns, node.next
        end
      end)
    end
  end)
end)
