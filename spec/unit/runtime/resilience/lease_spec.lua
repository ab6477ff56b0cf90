local c, ffi = require "spec.support.c" ("resilience/lease.h", "base/rng.h")

local MS, S = 1000000ULL, 1000000000ULL
local T0 = 1000 * S
local NEVER = 0xffffffffffffffffULL

local function config(options)
  local k = ffi.new("struct wr_lease_config", { 10 * S, 30 * S })
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local l = ffi.new("struct wr_lease")
  c.wr_lease_init(l, config(options), T0)
  return l
end

local function waiter(l, owner)
  local w = ffi.new("struct wr_lease_waiter", { owner = owner or 0 })
  c.wr_lease_wait(l, w)
  return w
end

local function granted(l, now)
  local w = c.wr_lease_grant(l, now)
  return w ~= nil and w or nil
end

-- A whole run of the oldest waiter.
local function run(l, from, to, is_done)
  local w = assert(granted(l, from))
  assert.is_true(c.wr_lease_begin(l, w, from))
  c.wr_lease_release(l, w, is_done ~= false, to)
  return tonumber(w.token)
end

describe("lease", function()
  it("lets one in at once, and the others when it is due again and none is in", function()
    local l = new()
    local a, b = waiter(l, 1), waiter(l, 2)
    assert.equal(a, granted(l, T0))
    assert.is_nil(granted(l, T0))
    assert.is_true(c.wr_lease_begin(l, a, T0 + MS))
    assert.is_nil(granted(l, T0 + 9 * S))
    c.wr_lease_release(l, a, true, T0 + 2 * S)
    assert.is_true(T0 + MS + 10 * S == c.wr_lease_next_ns(l))
    assert.is_nil(granted(l, T0 + MS + 10 * S - 1))
    assert.equal(b, granted(l, T0 + MS + 10 * S))
    assert.equal(2, l.owner)
    assert.equal(0, l.waiting)
  end)

  it("counts the interval from begin to begin; a longer run is followed at once", function()
    local l = new()
    local _, _, third = waiter(l), waiter(l), waiter(l)
    run(l, T0, T0 + S)
    run(l, T0 + 10 * S, T0 + 45 * S - 1) -- within its lease, which nobody renewed for so long
    assert.equal(third, granted(l, T0 + 45 * S))
  end)

  it("begins no run before it was due, however far behind a worker's clock is", function()
    local l = new()
    local _, second = waiter(l), waiter(l)
    run(l, T0, T0 + S)
    assert.equal(second, granted(l, T0 + 10 * S))
    assert.is_true(c.wr_lease_begin(l, second, T0 + 9 * S))
    assert.is_true(T0 + 20 * S == l.due_ns)
  end)

  it("gives tokens that grow, and takes none that is not the last", function()
    local l = new()
    local waiters, last = {}, 0
    for i = 1, 20 do
      waiters[i] = waiter(l)
      local token = run(l, T0 + i * 10 * S, T0 + i * 10 * S + 1)
      assert.is_true(token > last)
      last = token
    end
    local before = tonumber(l.counters.done)
    for _, w in ipairs(waiters) do
      assert.is_false(c.wr_lease_renew(l, w, T0 + 201 * S))
      assert.is_false(c.wr_lease_begin(l, w, T0 + 201 * S))
      c.wr_lease_release(l, w, true, T0 + 201 * S)
    end
    assert.equal(before, tonumber(l.counters.done))
  end)

  it("is held for as long as it is renewed, and lapses then", function()
    local l = new { ttl_ns = 3 * S }
    local a, b = waiter(l), waiter(l)
    granted(l, T0)
    c.wr_lease_begin(l, a, T0)
    for i = 1, 30 do assert.is_true(c.wr_lease_renew(l, a, T0 + i * 2 * S)) end
    assert.is_nil(granted(l, T0 + 63 * S - 1))
    assert.is_true(T0 + 63 * S == c.wr_lease_next_ns(l))
    assert.equal(b, granted(l, T0 + 63 * S))
    assert.is_false(c.wr_lease_renew(l, a, T0 + 63 * S))
    c.wr_lease_release(l, a, true, T0 + 64 * S)
    assert.equal(b.token, l.token)
    assert.equal(1, tonumber(l.counters.lapsed))
  end)

  it("runs again at once what was lost, and the second time in a row when it is due", function()
    local l = new()
    for _ = 1, 4 do waiter(l) end
    run(l, T0, T0 + S, false)
    assert.is_true(T0 + S == c.wr_lease_next_ns(l))
    run(l, T0 + S, T0 + 2 * S, false)
    assert.is_nil(granted(l, T0 + 11 * S - 1))
    run(l, T0 + 11 * S, T0 + 12 * S)
    run(l, T0 + 21 * S, T0 + 22 * S, false)
    assert.is_true(T0 + 22 * S == l.due_ns)
    assert.equal(3, tonumber(l.counters.lost))
  end)

  it("takes a turn that did not begin for none", function()
    local l = new()
    local a, b = waiter(l), waiter(l)
    granted(l, T0)
    c.wr_lease_release(l, a, false, T0 + S)
    assert.equal(b, granted(l, T0 + S))
    assert.is_true(c.wr_lease_begin(l, b, T0 + S))
    assert.same({ 1, 0 }, { tonumber(l.counters.begun), tonumber(l.counters.lost) })
  end)

  it("forgets who leaves the queue, and says that nothing is to be done without one", function()
    local l = new()
    local a, b = waiter(l), waiter(l)
    c.wr_lease_leave(l, a)
    assert.equal(b, granted(l, T0))
    c.wr_lease_release(l, b, true, T0)
    assert.is_true(NEVER == c.wr_lease_next_ns(l))
    assert.is_true(c.wr_lease_is_idle(l))
  end)

  it("keeps who has it and its schedule over a change of options", function()
    local l = new()
    local a, b = waiter(l), waiter(l)
    granted(l, T0)
    c.wr_lease_begin(l, a, T0)
    c.wr_lease_reconfigure(l, config { interval_ns = 60 * S }, T0 + S)
    assert.is_true(c.wr_lease_renew(l, a, T0 + 2 * S))
    c.wr_lease_release(l, a, true, T0 + 3 * S)
    assert.is_true(T0 + 60 * S == l.due_ns)
    c.wr_lease_reconfigure(l, config { interval_ns = 20 * S }, T0 + 4 * S)
    assert.is_true(T0 + 20 * S == l.due_ns)
    assert.is_nil(granted(l, T0 + 20 * S - 1))
    c.wr_lease_reconfigure(l, config { interval_ns = 90 * S }, T0 + 21 * S)
    assert.equal(b, granted(l, T0 + 21 * S), "what was due stays due")
  end)

  it("names the bound that an option breaks", function()
    for key, value in pairs { interval_ns = 0, ttl_ns = 1 } do
      local problem = ffi.string(c.wr_lease_config_check(config { [key] = value }))
      assert.truthy(problem:find(key:match "^%a+", 1, true), problem)
    end
    assert.is_true(c.wr_lease_config_check(config()) == nil)
  end)

  it("is valid after a repair whatever its bytes were, and knows its living holder", function()
    local seed = os.time()
    math.randomseed(seed)
    for i = 1, 300 do
      local l = new()
      local holder = waiter(l)
      granted(l, T0)
      c.wr_lease_begin(l, holder, T0)
      local token = holder.token
      local bytes, from = ffi.cast("uint8_t *", l), ffi.sizeof "struct wr_lease_config"
      for at = from, ffi.sizeof(l) - 1 do bytes[at] = math.random(0, 255) end
      local lives = i % 2 == 0
      c.wr_lease_repair(l, lives and holder or nil, T0 + S)
      assert.equal(0, l.waiting)
      assert.is_true(l.due_ns <= T0 + 11 * S, "seed " .. seed)
      assert.is_true((lives and token or 0ULL) == l.token)
      if lives then
        assert.is_true(c.wr_lease_next_ns(l) <= T0 + 31 * S)
        c.wr_lease_release(l, holder, true, T0 + S)
      end
      local w = waiter(l)
      local at = T0 + 11 * S
      assert.equal(w, granted(l, at), "seed " .. seed)
      assert.is_true(w.token > 0ULL and (not lives or w.token > token))
      assert.is_true(c.wr_lease_begin(l, w, at))
    end
  end)
end)

-- Workers that come and go, die, stand still and reload, in virtual time.
describe("a singleton", function()
  local INTERVAL, TTL = 100, 250 -- ms

  local function simulate(seed)
    local r = ffi.new("struct wr_rng")
    c.wr_rng_init(r, seed)
    local function below(n) return tonumber(c.wr_rng_below(r, n)) end
    local l = new { interval_ns = INTERVAL * MS, ttl_ns = TTL * MS }
    local workers, now, runs = {}, T0, {}
    local function join(i) workers[i] = { w = waiter(l, i), state = "waits" } end
    for i = 1, 4 do join(i) end
    local function grant()
      local w = granted(l, now)
      while w do
        local me = workers[w.owner]
        me.state, me.until_ns = "in", now + TTL * MS
        w = granted(l, now)
      end
    end
    local function believes_it_holds(me) return me.state == "runs" and now < me.until_ns end
    for _ = 1, 2000 do
      now = now + below(20) * MS
      local i = 1 + below(4)
      local me, dice = workers[i], below(100)
      if me.state == "in" then
        if dice < 70 and c.wr_lease_begin(l, me.w, now) then
          me.state, me.until_ns, me.from = "runs", now + TTL * MS, now
          runs[#runs + 1] = { from = now, after_loss = l.was_lost ~= 0 }
        elseif dice < 80 then
          c.wr_lease_release(l, me.w, false, now)
          join(i)
        end
      elseif me.state == "runs" and dice < 60 then
        if c.wr_lease_renew(l, me.w, now) then me.until_ns = now + TTL * MS else join(i) end
      elseif me.state == "runs" and dice < 95 then
        c.wr_lease_release(l, me.w, dice < 90, now) -- done, or its worker died
        join(i)
      elseif me.state == "waits" and dice < 5 then
        c.wr_lease_leave(l, me.w)
        join(i)
      end
      if dice == 99 then
        c.wr_lease_reconfigure(l, config { interval_ns = INTERVAL * MS, ttl_ns = TTL * MS }, now)
      end
      grant()
      local holding = 0
      for _, other in ipairs(workers) do
        if believes_it_holds(other) and other.w.token == l.token then holding = holding + 1 end
        -- Who still may believe that it holds it is the one that does.
        assert.is_true(not believes_it_holds(other) or other.w.token == l.token, "seed " .. seed)
      end
      assert.is_true(holding <= 1, "seed " .. seed)
      local is_idle = l.token == 0
      assert.is_false(is_idle and l.waiting > 0 and now >= l.due_ns, "nobody runs: seed " .. seed)
    end
    for at = 2, #runs do
      local gap = tonumber(runs[at].from - runs[at - 1].from) / 1e6
      assert.is_true(gap >= INTERVAL or runs[at].after_loss, "seed " .. seed)
    end
    return #runs
  end

  it("never runs twice at once, and never stops, whatever its workers do", function()
    local seed = os.time()
    for i = 1, 30 do assert.is_true(simulate(seed + i) > 50) end
  end)
end)
