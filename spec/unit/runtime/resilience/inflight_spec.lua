local c, ffi = require "spec.support.c" ("resilience/inflight.h", "base/rng.h")

local MS = 1e6
local NEVER = 0xffffffffffffffffULL

local function new(limit)
  local f = ffi.new("struct wr_inflight")
  c.wr_inflight_init(f, limit)
  return f
end

local function rng(seed)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  return function(bound) return tonumber(c.wr_rng_below(r, bound)) end
end

describe("calls in flight", function()
  it("become overdue after the limit and before a fourteenth more", function()
    local f = new(1400 * MS)
    c.wr_inflight_start(f, 50 * MS)
    assert.equal(0, c.wr_inflight_overdue(f, 1449 * MS))
    assert.equal(1, c.wr_inflight_overdue(f, 1550 * MS))
    c.wr_inflight_end(f, 50 * MS, 1600 * MS)
    assert.equal(0, c.wr_inflight_overdue(f, 1600 * MS))
    assert.equal(0, f.count)
  end)

  it("tell when the next of them becomes overdue", function()
    local f = new(1400 * MS)
    assert.equal(NEVER, c.wr_inflight_next_ns(f))
    c.wr_inflight_start(f, 50 * MS)
    local due = c.wr_inflight_next_ns(f)
    assert.equal(1500ULL * 1000000ULL, due)
    assert.equal(0, c.wr_inflight_overdue(f, due - 1))
    assert.equal(1, c.wr_inflight_overdue(f, due))
    assert.equal(NEVER, c.wr_inflight_next_ns(f))
  end)

  it("are never overdue without a limit", function()
    local f = new(0)
    c.wr_inflight_start(f, 0)
    assert.equal(0, c.wr_inflight_overdue(f, 1e18))
    assert.equal(NEVER, c.wr_inflight_next_ns(f))
    c.wr_inflight_end(f, 0, 1e18)
    c.wr_inflight_end(f, 0, 1e18)
    assert.equal(0, f.count, "one end too many is ignored")
  end)

  it("agree with a list of start times, within a slot", function()
    local seed = os.time()
    local below = rng(seed)
    for _ = 1, 30 do
      local limit = 1 + below(5000)
      local width = math.ceil(limit / 14)
      local f, starts, now = new(limit), {}, below(1e6)
      for _ = 1, 500 do
        now = now + below(math.max(2, limit / 8))
        if below(3) > 0 or #starts == 0 then
          local start = now - math.min(now, below(2) * below(width)) -- another worker's older clock
          c.wr_inflight_start(f, start)
          starts[#starts + 1] = start
        else
          c.wr_inflight_end(f, table.remove(starts, 1 + below(#starts)), now)
        end
        local least, most = 0, 0
        for _, start in ipairs(starts) do
          if now - start >= limit + width then least = least + 1 end
          if now - start >= limit then most = most + 1 end
        end
        local got = c.wr_inflight_overdue(f, now)
        assert.is_true(got >= least and got <= most,
          ("seed %d: %d not in %d..%d"):format(seed, got, least, most))
        assert.equal(#starts, f.count)
      end
    end
  end)

  it("keep their start times when the limit changes, as well as the slots know them", function()
    local f = new(1400 * MS)
    c.wr_inflight_start(f, 0)
    c.wr_inflight_start(f, 1000 * MS)
    c.wr_inflight_reshape(f, 700 * MS, 1000 * MS)
    assert.equal(1, c.wr_inflight_overdue(f, 1000 * MS),
      "the older one passed the new limit already")
    assert.equal(2, c.wr_inflight_overdue(f, 1900 * MS))
    c.wr_inflight_reshape(f, 0, 1900 * MS)
    assert.equal(2, f.count)
    c.wr_inflight_reshape(f, 100 * MS, 1900 * MS)
    assert.equal(0, c.wr_inflight_overdue(f, 1950 * MS), "start times are gone: they count as now")
    c.wr_inflight_end(f, 0, 1950 * MS)
    c.wr_inflight_end(f, 1000 * MS, 1950 * MS)
    assert.equal(0, f.count)
    assert.equal(0, c.wr_inflight_overdue(f, 1e12))
  end)

  it("are repaired to the number that the ledger knows, whatever the bytes are", function()
    local seed = os.time()
    local below = rng(seed)
    for round = 1, 300 do
      local limit = below(3) * 700 * MS
      local f, now = new(limit), 5000 * MS
      for _ = 1, 5 do c.wr_inflight_start(f, now) end
      local bytes = ffi.cast("uint8_t *", f)
      for _ = 1, below(30) do bytes[below(ffi.sizeof "struct wr_inflight")] = below(256) end
      c.wr_inflight_repair(f, limit, 7, now)
      local message = ("seed %d round %d"):format(seed, round)
      assert.equal(7, f.count, message)
      assert.equal(limit > 0 and 7 or 0, c.wr_inflight_overdue(f, now + 10 * limit), message)
      for _ = 1, 7 do c.wr_inflight_end(f, now, now + 1) end
      assert.equal(0, c.wr_inflight_overdue(f, now + 10 * limit), message)
    end
  end)
end)
