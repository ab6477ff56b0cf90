local c, ffi = require "spec.support.c" ("resilience/health.h", "base/rng.h")

local MS, S = 1e6, 1e9
local PASS, FAIL = 0, c.WR_ERROR_CONNECT

local function config(options)
  local k = ffi.new("struct wr_health_config")
  c.wr_health_config_init(k)
  k.jitter = 0
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function new(options)
  local h = ffi.new("struct wr_health")
  c.wr_health_init(h, config(options), 1, 0)
  return h
end

local function verdict(h)
  return ffi.string(c.wr_health_verdict_name(c.wr_health_verdict(h)))
end

local after = ffi.new "uint64_t[1]"

--- A claim at `now`: the number, or nil and when to ask again.
local function claim(h, now)
  local number = c.wr_health_claim(h, now, after)
  if number == 0 then return nil, tonumber(after[0]) end
  return number
end

local function result(at, kind, latency)
  return ffi.new("struct wr_health_result",
    { at_ns = at, error = kind, latency_us = latency or 0 })
end

--- One check at `now`, as if it were due. Did the verdict change?
local function check(h, now, kind, output)
  h.due_ns = math.min(tonumber(h.due_ns), now)
  local number = assert(claim(h, now))
  return c.wr_health_report(h, number, result(now, kind), output)
end

describe("health", function()
  it("makes the first result the verdict, later ones by rows", function()
    -- rise, fall, results (+ -), verdicts after each (u d ?), reason
    local cases = {
      { 2, 3, "+", "u", "one success is all there is to know" },
      { 2, 3, "-", "d", "and so is one failure" },
      { 2, 3, "+--", "uuu", "two failures are fewer than three" },
      { 2, 3, "+---", "uuud", "three in a row" },
      { 2, 3, "+--+--", "uuuuuu", "a success begins the row anew" },
      { 2, 3, "-+", "dd", "one success after the verdict is not two" },
      { 2, 3, "-++", "ddu", "two are" },
      { 2, 3, "-+-++", "ddddu", "in a row" },
      { 1, 1, "+-+-", "udud", "rows of one follow each result" },
    }
    for _, case in ipairs(cases) do
      local h, seen = new { rise = case[1], fall = case[2] }, ""
      for i = 1, #case[3] do
        check(h, i * S, case[3]:sub(i, i) == "+" and PASS or FAIL)
        seen = seen .. ({ up = "u", down = "d", unknown = "?" })[verdict(h)]
      end
      assert.equal(case[4], seen, case[5])
    end
  end)

  it("is unknown before the first result, and due at once", function()
    local h = new()
    assert.equal("unknown", verdict(h))
    assert.truthy(claim(h, 0))
  end)

  it("lets one check at a time, and the next after the interval", function()
    local h = new { interval_ns = 5 * S, timeout_ns = S }
    local first = claim(h, 0)
    local none, wait = claim(h, S)
    assert.is_nil(none)
    assert.equal(1 * S, wait)
    assert.is_true(c.wr_health_report(h, first, result(0.5 * S, PASS), nil))
    none, wait = claim(h, S)
    assert.is_nil(none)
    assert.equal(4.5 * S, wait)
    assert.truthy(claim(h, 5.5 * S))
  end)

  it("takes the turn from a checker that hangs, and hears it no more", function()
    local h = new { timeout_ns = S }
    local hanging = claim(h, 0)
    assert.is_nil(claim(h, 2 * S - 1))
    local other = assert(claim(h, 2 * S))
    assert.equal(1, tonumber(h.lost))
    assert.is_false(c.wr_health_report(h, hanging, result(2.1 * S, FAIL), "late"))
    assert.equal("unknown", verdict(h))
    assert.is_true(c.wr_health_report(h, other, result(2.2 * S, PASS), nil))
    assert.equal("up", verdict(h))
    assert.equal(0, tonumber(h.failed))
  end)

  it("gives a released turn to the next at once, but a second time only after an interval",
    function()
      local h = new { interval_ns = 5 * S }
      c.wr_health_release(h, claim(h, S), S)
      local second = assert(claim(h, S))
      c.wr_health_release(h, second, S)
      local none, wait = claim(h, S)
      assert.is_nil(none)
      assert.equal(5 * S, wait)
      c.wr_health_release(h, second, 2 * S) -- over already
      assert.equal(2, tonumber(h.lost))
      assert.truthy(claim(h, 6 * S))
    end)

  it("varies the interval by the jitter, on both sides", function()
    local h = new { interval_ns = S, jitter = 0.2 }
    local least, most, now = math.huge, 0, 0
    for _ = 1, 1000 do
      check(h, now, PASS)
      local gap = tonumber(h.due_ns) - now
      least, most = math.min(least, gap), math.max(most, gap)
      now = tonumber(h.due_ns)
    end
    assert.is_true(least >= 0.8 * S and least < 0.81 * S)
    assert.is_true(most <= 1.2 * S and most > 1.19 * S)
  end)

  it("keeps the last 64 results, newest first", function()
    local h = new()
    for i = 1, 100 do check(h, i * S, i % 10 == 0 and FAIL or PASS) end
    for back = 0, 63 do
      local r = c.wr_health_at(h, back)
      assert.equal((100 - back) * S, tonumber(r.at_ns))
      assert.equal((100 - back) % 10 == 0 and FAIL or PASS, r.error)
    end
    assert.is_true(c.wr_health_at(h, 64) == nil)
    assert.equal(90, tonumber(h.passed))
    assert.equal(10, tonumber(h.failed))
  end)

  it("keeps what the last failure said, until a success", function()
    local h = new()
    check(h, S, FAIL, ("x"):rep(500))
    assert.equal(c.WR_HEALTH_OUTPUT_MAX - 1, #ffi.string(h.output))
    check(h, 2 * S, PASS, "ignored")
    assert.equal("", ffi.string(h.output))
  end)

  it("is stale when nobody has checked for three intervals and a time-out", function()
    local h = new { interval_ns = 5 * S, timeout_ns = S }
    assert.is_false(c.wr_health_is_stale(h, 16 * S))
    assert.is_true(c.wr_health_is_stale(h, 16 * S + 1))
    check(h, 20 * S, FAIL)
    assert.is_false(c.wr_health_is_stale(h, 36 * S))
    assert.is_true(c.wr_health_is_stale(h, 36 * S + 1))
    assert.equal("down", verdict(h)) -- silence is no good news
  end)

  it("tells each change of the verdict once", function()
    local h, event = new(), ffi.new "struct wr_health_event"
    assert.is_false(c.wr_health_take_event(h, event))
    check(h, S, FAIL, "refused")
    assert.is_true(c.wr_health_take_event(h, event))
    assert.same({ c.WR_HEALTH_UNKNOWN, c.WR_HEALTH_DOWN, FAIL, "refused", S },
      { event.from, event.to, event.error, ffi.string(event.output), tonumber(event.at_ns) })
    assert.is_false(c.wr_health_take_event(h, event))
    check(h, 2 * S, FAIL)
    assert.is_false(c.wr_health_take_event(h, event))
  end)

  describe("reconfigured", function()
    it("keeps verdict and history, and applies new rows to what comes", function()
      local h = new { fall = 5 }
      check(h, S, PASS)
      check(h, 2 * S, FAIL)
      c.wr_health_reconfigure(h, config { fall = 2 }, 2 * S)
      assert.equal("up", verdict(h))
      check(h, 3 * S, FAIL)
      assert.equal("down", verdict(h))
      assert.equal(3, h.count)
    end)

    it("does not wait for the end of a longer interval", function()
      local h = new { interval_ns = 3600 * S }
      check(h, S, PASS)
      c.wr_health_reconfigure(h, config { interval_ns = S }, 2 * S)
      assert.truthy(claim(h, 3 * S))
    end)

    it("judges another target anew, and ignores who still asks the old one", function()
      local h = new { target = 1 }
      check(h, S, PASS)
      h.due_ns = 2 * S
      local old = claim(h, 2 * S)
      c.wr_health_reconfigure(h, config { target = 2 }, 2 * S)
      assert.equal("up", verdict(h)) -- until there is a better one
      local new_claim = assert(claim(h, 2 * S))
      assert.is_false(c.wr_health_report(h, old, result(2 * S, PASS), nil))
      assert.is_true(c.wr_health_report(h, new_claim, result(2 * S, FAIL), nil))
      assert.equal("down", verdict(h))
    end)
  end)

  it("refuses what is out of bounds", function()
    local cases = {
      { { interval_ns = 0 }, "interval" }, { { timeout_ns = 0 }, "timeout" },
      { { jitter = 1.1 }, "jitter" }, { { jitter = 0 / 0 }, "jitter" }, { { rise = 0 }, "rise" },
      { { fall = 101 }, "fall" }, { { type = 200 }, "type" }, { { is_critical = 2 }, "critical" },
    }
    for _, case in ipairs(cases) do
      assert.matches(case[2], ffi.string(c.wr_health_config_check(config(case[1]))))
    end
    assert.is_true(c.wr_health_config_check(config()) == nil)
  end)

  -- At most one claim is current; a report counts only with it; the verdict changes only after the
  -- rows that it takes; a due time is never farther than the longest interval.
  it("keeps its promises through random operations", function()
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    local k = config { interval_ns = S, timeout_ns = 100 * MS, jitter = 0.5, rise = 2, fall = 3 }
    local h = ffi.new "struct wr_health"
    c.wr_health_init(h, k, seed, 0)
    local now, current, until_ns, row, results = 0, nil, 0, 0, 0
    for _ = 1, 20000 do
      now = now + math.random(0, 400) * MS
      local op = math.random(4)
      if op == 1 then
        local number = claim(h, now)
        if number then
          assert(not current or now >= until_ns, "two claims at once, seed " .. seed)
          current, until_ns = number, now + 1.1 * S
        end
      elseif op == 4 and current and math.random(4) == 1 then
        c.wr_health_release(h, current, now)
        current = nil
      elseif op > 1 then
        local before, good = verdict(h), math.random(2) == 1
        local number = current or 77777777
        local changed = c.wr_health_report(h, number, result(now, good and PASS or FAIL), nil)
        if current then
          results = results + 1
          row = (good == (row > 0)) and row + (good and 1 or -1) or (good and 1 or -1)
          local due = tonumber(h.due_ns) - now
          assert(due >= 0.5 * S and due <= 1.5 * S, "due in " .. due .. ", seed " .. seed)
          if changed and before ~= "unknown" then
            assert(row >= 2 or row <= -3, ("row %d changed it, seed %d"):format(row, seed))
          end
        else
          assert(not changed, "a claim that never was, seed " .. seed)
        end
        current = nil
      end
      assert.equal(results, tonumber(h.passed) + tonumber(h.failed))
    end
  end)

  it("is valid after a repair, whatever its bytes were", function()
    local seed = tonumber(os.getenv "SEED") or os.time()
    math.randomseed(seed)
    local h = ffi.new "struct wr_health"
    local bytes, size = ffi.cast("uint8_t *", h), ffi.sizeof(h)
    for _ = 1, 500 do
      for i = 0, size - 1 do bytes[i] = math.random(0, 255) end
      c.wr_health_repair(h, 1000 * S)
      assert(c.wr_health_config_check(h.config) == nil, "seed " .. seed)
      assert(c.wr_health_verdict(h) < c.WR_HEALTH_VERDICTS, "seed " .. seed)
      assert(#ffi.string(h.output) < c.WR_HEALTH_OUTPUT_MAX, "seed " .. seed)
      local _, wait = claim(h, 1000 * S)
      local longest = math.max(2 * tonumber(h.config.interval_ns),
        tonumber(h.config.timeout_ns) + S)
      assert(not wait or wait <= longest, "it is checked again, seed " .. seed)
    end
  end)

  it("is left as it is by a repair when it is whole", function()
    local h = new()
    for i = 1, 70 do check(h, i * S, i % 3 == 0 and FAIL or PASS) end
    local before = ffi.string(ffi.cast("char *", h), ffi.sizeof(h))
    c.wr_health_repair(h, 70 * S)
    assert.equal(before, ffi.string(ffi.cast("char *", h), ffi.sizeof(h)))
  end)
end)
