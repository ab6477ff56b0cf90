local c, ffi = require "spec.support.c" ("resilience/adaptive.h", "base/rng.h")

local MS, S = 1e6, 1e9

local function config(rule, options)
  local k = ffi.new "struct wr_adaptive_config"
  c.wr_adaptive_config_init(k)
  k.rule, k.initial = c["WR_ADAPTIVE_" .. rule], 20
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(k, seed)
  local a = ffi.new "struct wr_adaptive"
  c.wr_adaptive_init(a, k, seed or 1)
  return a
end

local call = ffi.new "struct wr_adaptive_call"

local function sample(a, k, now, latency, inflight, is_good)
  call.latency_ns, call.inflight, call.is_good = latency, inflight, is_good ~= false
  c.wr_adaptive_sample(a, k, now, call)
end

--- One window of ten equal calls that ends at `now`.
local function window(a, k, now, latency, inflight, is_good)
  for _ = 1, 10 do sample(a, k, now, latency, inflight, is_good) end
end

local function limit(a) return c.wr_adaptive_limit(a) end

describe("adaptive limit", function()
  it("moves at the end of a window, with enough results", function()
    local k = config "AIMD"
    local a = new(k)
    for i = 1, 9 do sample(a, k, i * S, 10 * MS, 20) end
    assert.equal(20, limit(a), "nine results in nine windows")
    sample(a, k, 9 * S, 10 * MS, 20)
    assert.equal(21, limit(a))
    for _ = 1, 100 do sample(a, k, 9.99 * S, 10 * MS, 21) end
    assert.equal(21, limit(a), "a hundred results in less than a window")
  end)

  it("does what its rule says with the means", function()
    local k = config "VEGAS"
    local a = new(k)
    sample(a, k, 0.5 * S, 10 * MS, 20)
    window(a, k, 2 * S, 10 * MS, 20)
    assert.equal(20, limit(a), "the first window sets the baseline")
    window(a, k, 3 * S, 10 * MS, 20)
    assert.equal(26, limit(a))
    k = config "GRADIENT2"
    a = new(k)
    sample(a, k, 0.5 * S, 10 * MS, 20)
    window(a, k, 2 * S, 10 * MS, 20)
    assert.near(20.8, a.limit, 1e-9)
  end)

  it("takes a tenth of failures for a sign, less for noise", function()
    local k = config "AIMD"
    local a = new(k)
    sample(a, k, 0.1 * S, 10 * MS, 20)
    for _ = 1, 18 do sample(a, k, 0.5 * S, 10 * MS, 20) end
    sample(a, k, 1.2 * S, 1, 20, false)
    assert.equal(21, limit(a), "one of twenty")
    for _ = 1, 8 do sample(a, k, 1.5 * S, 10 * MS, 20) end
    sample(a, k, 1.6 * S, 1, 20, false)
    sample(a, k, 2.3 * S, 10 * MS, 20)
    assert.equal(18, limit(a), "one of ten")
  end)

  it("backs off by each rule when everything fails", function()
    for rule, want in pairs { AIMD = 18, VEGAS = 19, GRADIENT2 = 18 } do
      local k = config(rule)
      local a = new(k)
      sample(a, k, 0.1 * S, 1, 20, false)
      window(a, k, 2 * S, 1, 20, false)
      assert.equal(want, limit(a), rule)
    end
  end)

  it("does not learn from answers that come too soon to be one", function()
    local k = config "VEGAS"
    local a = new(k)
    for i = 1, 100 do sample(a, k, i * S, 50000, 20) end
    assert.equal(0, a.baseline_ns)
    assert.equal(20, limit(a))
  end)

  it("is not moved by traffic that does not need it", function()
    for _, rule in ipairs { "AIMD", "VEGAS", "GRADIENT2" } do
      local k = config(rule)
      local a = new(k)
      for i = 1, 500 do window(a, k, i * S, 10 * MS, 9) end
      assert.equal(20, limit(a), rule)
    end
  end)

  it("stays where it is when it is fixed", function()
    local k = config("FIXED", { initial = 7 })
    local a = new(k)
    for i = 1, 50 do window(a, k, i * S, 10 * MS, 7, i % 2 == 0) end
    assert.equal(7, limit(a))
  end)

  it("keeps what it has learnt when its bounds change, not when its rule does", function()
    local k = config "AIMD"
    local a = new(k)
    for i = 1, 10 do window(a, k, i * S, 10 * MS, 40) end
    local learnt = limit(a)
    assert.is_true(learnt > 25)
    local k2 = config("AIMD", { max = 500 })
    c.wr_adaptive_reconfigure(a, k, k2)
    assert.equal(learnt, limit(a))
    local k3 = config("AIMD", { max = 21 })
    c.wr_adaptive_reconfigure(a, k2, k3)
    assert.equal(21, limit(a))
    local k4 = config "VEGAS"
    c.wr_adaptive_reconfigure(a, k3, k4)
    assert.equal(21, limit(a), "the other rule goes on from there")
    local k5 = config("FIXED", { initial = 70 })
    c.wr_adaptive_reconfigure(a, k4, k5)
    assert.equal(70, limit(a))
    c.wr_adaptive_reconfigure(a, k5, k4)
    assert.equal(20, limit(a), "nothing was learnt from a fixed limit")
  end)

  it("refuses a configuration outside its bounds, and names the bound", function()
    local cases = {
      { { rule = 9 }, "limit" }, { { max = 0 }, "max" }, { { max = 2e6 }, "max" },
      { { min = 0 }, "min" }, { { min = 2000 }, "min" }, { { initial = 0 }, "initial" },
      { { samples = 0 }, "samples" }, { { window_ns = 10 }, "window" },
      { { max_healthy_ns = 1e18 }, "max_healthy_latency" },
    }
    for _, case in ipairs(cases) do
      local message = ffi.string(c.wr_adaptive_config_check(config("VEGAS", case[1])))
      assert.truthy(message:find(case[2], 1, true), message)
    end
    assert.is_true(c.wr_adaptive_config_check(config "VEGAS") == nil)
  end)
end)

-- An upstream of `servers` that serve one call each in `service` ns on average (M/M/c with an
-- endless queue), behind the limit, in virtual time.
local Upstream = {}
Upstream.__index = Upstream

local function upstream(k, seed, options)
  local r = ffi.new "struct wr_rng"
  c.wr_rng_init(r, seed)
  return setmetatable({ k = k, a = new(k, seed), rng = r, now = 0, queue = {}, head = 1,
    began = {}, ends = {}, next = math.huge, inflight = 0, servers = options.servers,
    service = options.service, gap = S / options.rate }, Upstream)
end

function Upstream:exponential(mean)
  return -math.log(1 - c.wr_rng_unit(self.rng)) * mean
end

function Upstream:serve()
  local began, ends = self.began, self.ends
  while #ends < self.servers and self.queue[self.head] do
    local i, at = #ends + 1, self.now + self:exponential(self.service)
    began[i], ends[i] = self.queue[self.head], at
    if at < self.next then self.next, self.next_at = at, i end
    self.queue[self.head] = nil
    self.head = self.head + 1
  end
end

--- Takes out the call that ends next; returns when it began.
function Upstream:finish()
  local began, ends, at = self.began, self.ends, self.next_at
  local from, last = began[at], #ends
  began[at], ends[at] = began[last], ends[last]
  began[last], ends[last] = nil, nil
  local first = math.huge
  for i = 1, last - 1 do
    if ends[i] < first then first, at = ends[i], i end
  end
  self.next, self.next_at = first, at
  return from
end

--- Lets time pass; calls `each(limit)` after every result. Returns the mean of the limit.
function Upstream:run(seconds, each)
  local stop, sum, count = self.now + seconds * S, 0, 0
  local arrival = self.now + self:exponential(self.gap)
  local tail = self.head
  while self.queue[tail] do tail = tail + 1 end
  while true do
    local ends = self.next
    if arrival > stop and ends > stop then break end
    if arrival < ends then
      self.now = arrival
      arrival = self.now + self:exponential(self.gap)
      if self.inflight < limit(self.a) then
        self.inflight = self.inflight + 1
        self.queue[tail] = self.now
        tail = tail + 1
      end
    else
      self.now = ends
      sample(self.a, self.k, self.now, ends - self:finish(), self.inflight)
      self.inflight = self.inflight - 1
      sum, count = sum + limit(self.a), count + 1
      if each then each(limit(self.a)) end
    end
    self:serve()
  end
  self.now = stop
  return sum / math.max(1, count)
end

local RULES = { "AIMD", "VEGAS", "GRADIENT2" }

-- Invariant 11 of research/resilience.md §6.
describe("adaptive limit of a simulated upstream", function()
  local first = os.time()

  it("stays within its bounds, whatever happens", function()
    for _, rule in ipairs(RULES) do
      for seed = first, first + 7 do
        local r = ffi.new "struct wr_rng"
        c.wr_rng_init(r, seed)
        local k = config(rule, { min = 3, max = 60 })
        local a, now = new(k, seed), 0
        for _ = 1, 3000 do
          now = now + tonumber(c.wr_rng_below(r, 400 * MS))
          sample(a, k, now, tonumber(c.wr_rng_below(r, 8 * S)), tonumber(c.wr_rng_below(r, 90)),
            c.wr_rng_below(r, 10) > 1)
          assert.is_true(a.limit >= 3 and a.limit <= 60, rule .. " seed " .. seed)
        end
      end
    end
  end)

  it("finds the capacity, and finds it again within 60 windows after it dropped", function()
    -- Medians of known seeds: where nothing fails AIMD has only the guard to go by, which chance
    -- lets it overlook for a while in one run of 25.
    for _, rule in ipairs(RULES) do
      local before, after = {}, {}
      for seed = 1, 5 do
        local u = upstream(config(rule), seed, { servers = 40, service = 50 * MS, rate = 1200 })
        u:run(120)
        before[seed] = u:run(20)
        u.servers = 10
        u:run(60)
        after[seed] = u:run(20)
      end
      table.sort(before)
      table.sort(after)
      local label = ("%s: %.1f, then %.1f"):format(rule, before[3], after[3])
      assert.is_true(before[1] >= 20 and before[5] <= 80, label)
      assert.is_true(after[3] >= 5 and after[3] <= 25, label)
    end
  end)

  it("is held by the guard alone where latency tells the rule nothing", function()
    for _, rule in ipairs { "AIMD", "GRADIENT2" } do
      local k = config(rule, { max_healthy_ns = 0 })
      local u = upstream(k, first, { servers = 20, service = 50 * MS, rate = 600 })
      u.a.baseline_ns, u.a.windows = S, 10
      local highest = 0
      local mean = u:run(600, function(now) highest = math.max(highest, now) end)
      local label = ("%s seed %d: %.1f, up to %d"):format(rule, first, mean, highest)
      assert.is_true(u.a.guarded > 0, label)
      assert.is_true(mean <= 30 and highest <= 60, label)
    end
  end)

  it("does not rise in a brown-out of 30 minutes", function()
    for _, rule in ipairs(RULES) do
      local k = config(rule, { max_healthy_ns = 200 * MS })
      local u = upstream(k, first, { servers = 20, service = 50 * MS, rate = 500 })
      u:run(60)
      local before, highest = limit(u.a), 0
      u.service = 500 * MS
      u:run(5)
      u:run(1800, function(now) highest = math.max(highest, now) end)
      local label = ("%s seed %d: %d -> %d"):format(rule, first, before, highest)
      assert.is_true(highest <= before, label)
      u.service = 50 * MS
      u:run(60)
      assert.is_true(limit(u.a) >= 5, "it comes back")
    end
  end)
end)
