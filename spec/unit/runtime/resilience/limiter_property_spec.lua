-- Invariant 4 of research/resilience.md §6, over random traffic with costs, waits, cancellations,
-- late timers and drains. A failure names its seed.
local c, ffi = require "spec.support.c" ("resilience/limiter.h", "base/rng.h")

local MS, SECOND = 1e6, 1e9
local KEYS = 3

local World = {}
World.__index = World

local function new_world(seed, options)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  local k = ffi.new("struct wr_limiter_config")
  c.wr_limiter_config_init(k)
  local w = setmetatable({ seed = seed, rng = r, now = SECOND, queue = {}, passed = {} }, World)
  k.limit = 1 + w:below(50)
  k.burst = 1 + w:below(10)
  w.longest = w:below(2000) * MS
  k.max_keys = w:below(2) * 64
  for name, value in pairs(options or {}) do k[name] = value end
  assert(c.wr_limiter_config_check(k) == nil)
  w.config = k
  w.memory = ffi.new("uint64_t[?]", tonumber(c.wr_limiter_bytes(k)) / 8)
  w.l = ffi.cast("struct wr_limiter *", w.memory)
  c.wr_limiter_init(w.l, k)
  for key = 0, KEYS do w.queue[key], w.passed[key] = {}, {} end
  return w
end

function World:below(bound)
  return tonumber(c.wr_rng_below(self.rng, bound))
end

function World:check(ok, what)
  if not ok then error(("seed %d: %s"):format(self.seed, what), 0) end
end

function World:key()
  return self.config.max_keys > 0 and self:below(KEYS + 1) or 0
end

function World:pass(key, cost)
  local list = self.passed[key]
  list[#list + 1] = { at = self.now, cost = cost }
end

local after = ffi.new("uint64_t[1]")
local is_in = ffi.new("bool[1]")

function World:grant()
  while true do
    local told = c.wr_limiter_grant(self.l, self.now, is_in)
    if told == nil then return end
    for key = 0, KEYS do
      local queue = self.queue[key]
      for i, one in ipairs(queue) do
        if one.w == told then
          if is_in[0] then
            self:check(self.now < one.till, "waited for longer than it may")
            self:check(i == 1, "overtaken in the queue")
            self:pass(key, one.cost)
          end
          table.remove(queue, i)
          break
        end
      end
    end
  end
end

function World:try()
  local key, cost = self:key(), 1 + self:below(3)
  if c.wr_limiter_try(self.l, key, cost, self.now, after) == c.WR_LIMITER_ADMITTED then
    self:pass(key, cost)
  elseif after[0] > 0 and #self.queue[key] == 0 then
    -- What it says to wait is exact: a nanosecond sooner is too soon.
    local due = self.now + tonumber(after[0])
    self.hint = { key = key, cost = cost, due = due }
  end
end

function World:wait()
  local key, cost = self:key(), 1 + self:below(3)
  local till = self.now + math.min(self.longest, 1 + self:below(2000) * MS)
  local w = ffi.new("struct wr_limiter_waiter")
  c.wr_limiter_waiter_init(w, key, cost, till)
  local result = c.wr_limiter_wait(self.l, w, self.now, after)
  if result == c.WR_LIMITER_ADMITTED then
    self:pass(key, cost)
  elseif result == c.WR_LIMITER_QUEUED then
    self:check(tonumber(w.due_ns) < till, "queued for a wait that cannot succeed")
    table.insert(self.queue[key], { w = w, cost = cost, till = till })
  elseif result == c.WR_LIMITER_LIMITED then
    self:check(self.now + tonumber(after[0]) >= till - 1000, "refused a wait that would succeed")
  end
end

-- Owners leave at the end of their waits, and sometimes before.
function World:leave()
  for key = 0, KEYS do
    local queue = self.queue[key]
    for i = #queue, 1, -1 do
      if self.now >= queue[i].till or self:below(20) == 0 then
        c.wr_limiter_leave(self.l, queue[i].w, self.now)
        table.remove(queue, i)
      end
    end
  end
end

local steps = { World.try, World.try, World.wait, World.wait, World.leave }

function World:step()
  self.now = self.now + self:below(4) * self:below(30 * MS)
  self:grant()
  if self:below(100) == 0 then
    local key = self:key()
    c.wr_limiter_drain(self.l, key, self.now + self:below(500) * MS, self.now)
  else
    steps[self:below(#steps) + 1](self)
  end
  self:grant()
end

--- Over any interval [t, t + d] at most burst + d / gap calls, and one for a late timer.
function World:check_rate(bound)
  for key = 0, KEYS do
    local list = self.passed[key]
    for from = 1, #list do
      local sum = 0
      for to = from, math.min(#list, from + 60) do
        sum = sum + list[to].cost
        self:check(sum <= bound(list[to].at - list[from].at), ("key %d: %d calls in %.3f s")
          :format(key, sum, (list[to].at - list[from].at) / SECOND))
      end
    end
  end
end

describe("limiter, over random traffic", function()
  it("passes at most burst + d / gap + 1 in any interval, in order, in time", function()
    local total = 0
    for seed = 1, 200 do
      local w = new_world(seed)
      for _ = 1, 600 do w:step() end
      local gap = tonumber(w.l.gcra.gap_ns)
      w:check_rate(function(d) return w.config.burst + d / gap + 1 end)
      for key = 0, KEYS do total = total + #w.passed[key] end
      w.now = w.now + 10 * SECOND
      w:leave()
      w:grant()
      w:check(w.l.waiting == 0, "somebody waits for ever")
      w:check(c.wr_limiter_is_idle(w.l, w.now), "who left owes something")
    end
    assert.is_true(total > 20000, "the traffic was too thin: " .. total)
  end)

  it("passes at most its limit in any window of the sliding kind", function()
    for seed = 1, 100 do
      local w = new_world(seed, { algorithm = c.WR_LIMITER_SLIDING })
      for _ = 1, 600 do w:step() end
      local limit = w.config.limit
      w:check_rate(function(d) return d < SECOND and limit or math.huge end)
    end
  end)

  it("says exactly when to come again", function()
    for seed = 1, 300 do
      local w = new_world(seed)
      for _ = 1, 100 do
        w.now = w.now + w:below(20 * MS)
        w:try()
        if w.hint then
          local h = w.hint
          local function peek(at)
            local look = c.wr_limiter_try(w.l, h.key, h.cost, at, after)
            return look == c.WR_LIMITER_ADMITTED
          end
          w:check(not peek(h.due - 1), "a nanosecond too soon it passes")
          w:check(peek(h.due), "when it was told to come it is refused")
          w.now, w.hint = h.due, nil
        end
      end
    end
  end)
end)
