local c, ffi = require "spec.support.c" ("resilience/outlier.h")

local S, MS = 1e9, 1e6
local T0 = 1000 * S

local function config(options)
  local k = ffi.new "struct wr_outlier_config"
  c.wr_outlier_config_init(k)
  k.jitter = 0
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(members, options)
  local capacity = math.max(members, 8)
  local bytes = ffi.new("char[?]", tonumber(c.wr_outlier_bytes(capacity)))
  local o = ffi.cast("struct wr_outlier *", bytes)
  c.wr_outlier_init(o, config(options), capacity, 7)
  for i = 0, members - 1 do c.wr_outlier_join(o, i, T0) end
  return o, bytes
end

local function report(o, row, now, successes, failures, latency)
  local batch = ffi.new "struct wr_outlier_batch"
  for _ = 1, successes do c.wr_outlier_batch_success(batch, latency or MS) end
  batch.failures = failures
  return c.wr_outlier_add(o, row, batch, now)
end

local function fail(o, row, now, times)
  local ejected = false
  for _ = 1, times do ejected = report(o, row, now, 0, 1) or ejected end
  return ejected
end

local function event(o)
  local e = ffi.new "struct wr_outlier_event"
  return c.wr_outlier_take_event(o, e) and e or nil
end

describe("outlier", function()
  it("has the documented defaults, which pass their check", function()
    local k = ffi.new "struct wr_outlier_config"
    c.wr_outlier_config_init(k)
    assert.equal(nil, c.wr_outlier_config_check(k) ~= nil and "bad" or nil)
    assert.same({ 5, 0.5, 0, 10 * S, 30 * S, 300 * S, 0.5, 50 },
      { k.consecutive, k.failure_rate, k.latency, tonumber(k.window_ns), tonumber(k.base_ns),
        tonumber(k.max_ns), k.max_share, k.min_calls })
  end)

  it("names the bound that is broken", function()
    local cases = { { "window_ns", 0, "window" }, { "base_ns", 0, "base" }, { "max_ns", 1, "max" },
      { "jitter", 2, "jitter" }, { "max_share", -1, "max_share" }, { "latency", 1, "latency" },
      { "failure_rate", 1.5, "failure_rate" }, { "slow_windows", 0, "slow_windows" },
      { "min_calls", 0, "min_calls" } }
    for _, case in ipairs(cases) do
      local problem = c.wr_outlier_config_check(config { [case[1]] = case[2] })
      assert.matches("^" .. case[3], ffi.string(problem))
    end
  end)

  it("ejects after failures in a row, which a success interrupts", function()
    local o, keep = new(3)
    assert.is_false(fail(o, 0, T0, 4))
    report(o, 0, T0, 1, 0)
    assert.is_false(fail(o, 0, T0, 4))
    assert.is_true(fail(o, 0, T0, 1))
    assert.equal(1, o.ejected)
    local e = event(o)
    assert.same({ 0, true, 5, tonumber(30 * S) },
      { e.row, e.is_ejected, e.consecutive, tonumber(e.for_ns) })
    assert.equal("consecutive", ffi.string(c.wr_outlier_cause_name(e.cause)))
    assert.is_nil(event(o))
    assert.is_truthy(keep)
  end)

  it("brings back when the time is over, with a clean record", function()
    local o, keep = new(3)
    fail(o, 0, T0, 5)
    assert.equal(T0 + 10 * S, tonumber(c.wr_outlier_next(o)))
    assert.is_false(c.wr_outlier_advance(o, T0 + 29 * S))
    assert.is_true(c.wr_outlier_advance(o, T0 + 30 * S))
    assert.equal(0, o.ejected)
    assert.equal(T0 + 30 * S, tonumber(o.rows[0].since_ns))
    -- Envoy #1491 and #40697: it can be ejected again, by as many failures as before.
    assert.is_false(fail(o, 0, T0 + 30 * S, 4))
    assert.is_true(fail(o, 0, T0 + 30 * S, 1))
    assert.is_truthy(keep)
  end)

  it("stays out longer each time, to the maximum, and forgets with good conduct", function()
    local o, keep = new(3, { max_ns = 100 * S })
    local now, lengths = T0, {}
    for i = 1, 5 do
      fail(o, 0, now, 5)
      lengths[i] = tonumber(o.rows[0].until_ns - o.rows[0].since_ns) / S
      now = tonumber(o.rows[0].until_ns)
      c.wr_outlier_advance(o, now)
    end
    assert.same({ 30, 60, 90, 100, 100 }, lengths)
    -- Each base time takes one step back.
    fail(o, 0, now + 60 * S, 5)
    assert.equal(90, tonumber(o.rows[0].until_ns - o.rows[0].since_ns) / S)
    now = tonumber(o.rows[0].until_ns)
    c.wr_outlier_advance(o, now)
    fail(o, 0, now + 3600 * S, 5)
    assert.equal(30, tonumber(o.rows[0].until_ns - o.rows[0].since_ns) / S)
    assert.is_truthy(keep)
  end)

  it("shortens by up to the jitter", function()
    local seen = {}
    for seed = 1, 50 do
      local o, keep = new(2, { jitter = 0.5 })
      c.wr_rng_init(o.rng, seed)
      fail(o, 0, T0, 5)
      local length = tonumber(o.rows[0].until_ns - o.rows[0].since_ns)
      assert.is_true(length > 15 * S - 1 and length <= 30 * S)
      seen[length] = true
      assert.is_truthy(keep)
    end
    assert.is_truthy(next(seen, next(seen)))
  end)

  it("never ejects the last usable, and no more than the share", function()
    -- members, share, unhealthy, most ejected
    local cases = {
      { 1, 1, 0, 0 }, { 2, 0.5, 0, 1 }, { 2, 1, 0, 1 }, { 3, 0.5, 0, 1 }, { 4, 0.5, 0, 2 },
      { 5, 0.1, 0, 1 }, { 8, 0.5, 0, 4 }, { 8, 1, 0, 7 }, { 8, 1, 6, 7 }, { 3, 1, 2, 2 },
    }
    for _, case in ipairs(cases) do
      local o, keep = new(case[1], { max_share = case[2] })
      for i = 1, case[3] do c.wr_outlier_mark(o, i - 1, true) end
      for i = 0, case[1] - 1 do fail(o, i, T0, 5) end
      assert.is_true(o.ejected <= case[4], ("%d of %d"):format(o.ejected, case[1]))
      assert.is_true(o.usable >= 1)
      if case[3] == 0 then assert.equal(case[4], o.ejected) end
      assert.is_truthy(keep)
    end
  end)

  it("counts what it did not eject, and ejects it when there is room", function()
    local o, keep = new(2)
    fail(o, 0, T0, 5)
    assert.is_false(fail(o, 1, T0, 7))
    assert.equal(3, tonumber(o.spared))
    c.wr_outlier_advance(o, T0 + 30 * S)
    assert.is_true(fail(o, 1, T0 + 30 * S, 1))
    assert.is_truthy(keep)
  end)

  it("ejects by failure rate at the end of the window, the worst first", function()
    local o, keep = new(4, { consecutive = 0 })
    for row, failures in ipairs { 30, 60, 5, 0 } do
      report(o, row - 1, T0, 100 - failures, failures)
    end
    assert.is_false(c.wr_outlier_advance(o, T0 + 9 * S))
    assert.is_true(c.wr_outlier_advance(o, T0 + 10 * S))
    assert.same({ false, true, false, false }, { o.rows[0].is_ejected, o.rows[1].is_ejected,
      o.rows[2].is_ejected, o.rows[3].is_ejected })
    local e = event(o)
    assert.same({ 1, 100, 60 }, { e.row, e.calls, e.failures })
    assert.is_truthy(keep)
  end)

  it("does not take an upstream that is ill as a whole for outliers", function()
    local o, keep = new(4, { consecutive = 0 })
    for row, failures in ipairs { 90, 80, 60, 70 } do
      report(o, row - 1, T0, 100 - failures, failures)
    end
    assert.is_false(c.wr_outlier_advance(o, T0 + 10 * S))
    assert.is_truthy(keep)
  end)

  it("judges no rate of fewer calls than min_calls, nor across windows", function()
    local o, keep = new(3, { consecutive = 0 })
    for _, at in ipairs { T0, T0 + 10 * S } do
      report(o, 0, at, 0, 49)
      report(o, 1, at, 100, 0)
    end
    c.wr_outlier_advance(o, T0 + 30 * S)
    assert.equal(0, o.ejected)
    assert.is_truthy(keep)
  end)

  it("ejects who is slow for three windows in a row, compared with the others", function()
    local o, keep = new(4, { latency = 3 })
    local now = T0
    local function window(latency)
      for row = 0, 3 do
        report(o, row, now, 60, 0, row == 0 and latency or 20 * MS)
      end
      now = now + 10 * S
      return c.wr_outlier_advance(o, now)
    end
    assert.is_false(window(200 * MS))
    assert.is_false(window(200 * MS))
    assert.is_false(window(20 * MS))
    assert.is_false(window(200 * MS))
    assert.is_false(window(200 * MS))
    assert.is_true(window(200 * MS))
    local e = event(o)
    assert.equal("latency", ffi.string(c.wr_outlier_cause_name(e.cause)))
    assert.is_true(e.p90_ns >= 200 * MS and e.p90_ns <= 250 * MS)
    assert.is_true(e.median_ns >= 20 * MS and e.median_ns <= 25 * MS)
    assert.is_truthy(keep)
  end)

  it("ejects nobody for a latency of microseconds more, nor with two to compare", function()
    for members, latencies in pairs { [4] = { MS, 0.2 * MS }, [2] = { 200 * MS, 20 * MS } } do
      local o, keep = new(members, { latency = 3 })
      for i = 0, 5 do
        for row = 0, members - 1 do
          report(o, row, T0 + i * 10 * S, 60, 0, row == 0 and latencies[1] or latencies[2])
        end
        c.wr_outlier_advance(o, T0 + (i + 1) * 10 * S)
      end
      assert.equal(0, o.ejected)
      assert.is_truthy(keep)
    end
  end)

  it("comes back by health checks at once", function()
    local o, keep = new(2)
    fail(o, 0, T0, 5)
    event(o)
    assert.is_true(c.wr_outlier_absolve(o, 0, T0 + S))
    assert.equal(0, o.ejected)
    assert.equal("checked", ffi.string(c.wr_outlier_cause_name(event(o).cause)))
    assert.is_false(c.wr_outlier_absolve(o, 0, T0 + S))
    assert.is_truthy(keep)
  end)

  it("takes no report of who is out", function()
    local o, keep = new(2)
    fail(o, 0, T0, 5)
    report(o, 0, T0, 100, 50)
    assert.equal(0, o.rows[0].window.failures)
    assert.is_truthy(keep)
  end)

  it("lets all come back when nothing is judged any more", function()
    local o, keep = new(4)
    fail(o, 0, T0, 5)
    c.wr_outlier_reconfigure(o, config { consecutive = 0, failure_rate = 0 }, T0 + S)
    assert.equal(0, o.ejected)
    assert.is_truthy(keep)
  end)

  it("ends the window that runs within the length of a shorter one", function()
    local o, keep = new(4, { consecutive = 0, failure_rate = 0.5, min_calls = 10,
      window_ns = 3600 * S })
    for i = 1, 3 do report(o, i, T0, 20, 0) end
    report(o, 0, T0, 0, 20)
    c.wr_outlier_reconfigure(o, config { consecutive = 0, failure_rate = 0.5, min_calls = 10,
      window_ns = S }, T0 + S)
    assert.equal(T0 + 2 * S, tonumber(c.wr_outlier_next(o)))
    assert.is_true(c.wr_outlier_advance(o, T0 + 2 * S))
    assert.is_true(o.rows[0].is_ejected)
    assert.is_truthy(keep)
  end)

  it("has buckets of a quarter of an octave", function()
    for _, ns in ipairs { 1, 131071, 131072, 200000, MS, 33 * MS, 500 * MS, 7 * S } do
      local b = c.wr_outlier_bucket(ns)
      assert.is_true(ns < tonumber(c.wr_outlier_bucket_ns(b)))
      if b > 0 then assert.is_true(ns >= tonumber(c.wr_outlier_bucket_ns(b - 1))) end
      assert.equal(b, c.wr_outlier_bucket(c.wr_outlier_bucket_ns(b) - 1))
    end
    assert.equal(63, c.wr_outlier_bucket(3600 * S))
  end)

  it("holds its invariants whatever comes", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 30 do
      local members = math.random(1, 8)
      local share = math.random()
      local o, keep = new(members, { max_share = share, latency = 2, min_calls = 5,
        consecutive = math.random(1, 5), jitter = 0.3 })
      local now, ejections = T0, 0
      for _ = 1, 400 do
        local row = math.random(0, 7)
        local what = math.random(1, 20)
        now = now + math.random(0, 3) * S
        if what == 1 and not o.rows[row].is_used then c.wr_outlier_join(o, row, now)
        elseif what == 2 and o.rows[row].is_used then c.wr_outlier_part(o, row)
        elseif what == 3 and o.rows[row].is_used then
          c.wr_outlier_mark(o, row, math.random(2) == 1)
        elseif what == 4 and o.rows[row].is_used then c.wr_outlier_absolve(o, row, now)
        elseif what == 5 then c.wr_outlier_repair(o, 8, now)
        elseif what < 10 then c.wr_outlier_advance(o, now)
        else report(o, row, now, math.random(0, 2), math.random(0, 3), math.random(1, 100) * MS) end
        local count, ejected, usable = 0, 0, 0
        for i = 0, 7 do
          local r = o.rows[i]
          if r.is_used then
            count = count + 1
            if r.is_ejected then
              ejected = ejected + 1
              assert.is_true(r.until_ns > r.since_ns and r.until_ns - r.since_ns <= 300 * S,
                "seed " .. seed)
            elseif not r.is_unhealthy then usable = usable + 1 end
          end
        end
        assert.same({ count, ejected, usable }, { o.count, o.ejected, o.usable }, "seed " .. seed)
        -- An ejection itself never breaks the share; members that leave may.
        if ejected > ejections and what >= 6 then
          assert.is_true(ejected <= math.max(1, share * count) and usable >= 1, "seed " .. seed)
        end
        ejections = ejected
      end
      assert.is_truthy(keep)
    end
  end)
end)
