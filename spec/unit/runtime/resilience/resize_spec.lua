-- An operator's size of a bulkhead or a limiter stands above every configuration until it is
-- lifted.
local c, ffi = require "spec.support.c" ("resilience/bulkhead.h", "resilience/limiter.h")

local S = 1000000000

local function bulkhead(max)
  local k = ffi.new("struct wr_bulkhead_config")
  c.wr_bulkhead_config_init(k)
  k.max, k.queue = max, 0
  local b = ffi.cast("struct wr_bulkhead *", ffi.new("char[?]", c.wr_bulkhead_bytes(k)))
  c.wr_bulkhead_init(b, k, 0)
  return b, k
end

describe("bulkhead resize", function()
  local function fills(b)
    local n = 0
    while c.wr_bulkhead_try(b, S, nil) == c.WR_BULKHEAD_ADMITTED do n = n + 1 end
    for _ = 1, n do c.wr_bulkhead_release(b) end
    return n
  end

  it("lets so many in until it is lifted", function()
    local b = bulkhead(4)
    c.wr_bulkhead_resize(b, 7)
    assert.equal(7, fills(b))
    assert.equal(4, b.declared_max)
    c.wr_bulkhead_resize(b, 2)
    assert.equal(2, fills(b))
    assert.equal(4, b.declared_max)
    c.wr_bulkhead_resize(b, 0)
    assert.equal(4, fills(b))
    assert.equal(0, b.declared_max)
  end)

  it("stands above a policy that changes, which holds once it is lifted", function()
    local b, k = bulkhead(4)
    c.wr_bulkhead_resize(b, 7)
    k.max = 5
    c.wr_bulkhead_reconfigure(b, k)
    assert.equal(7, fills(b))
    assert.equal(5, b.declared_max)
    c.wr_bulkhead_repair(b, 0, S)
    assert.equal(7, fills(b))
    c.wr_bulkhead_resize(b, 0)
    assert.equal(5, fills(b))
  end)

  it("goes along when rooms for keys are made", function()
    local b, k = bulkhead(4)
    c.wr_bulkhead_resize(b, 7)
    k.max, k.max_keys = 3, 8
    local to = ffi.cast("struct wr_bulkhead *", ffi.new("char[?]", c.wr_bulkhead_bytes(k)))
    c.wr_bulkhead_move(to, b, k, S)
    assert.equal(7, to.config.max)
    assert.equal(3, to.declared_max)
  end)

  it("throws nobody out", function()
    local b = bulkhead(4)
    for _ = 1, 4 do c.wr_bulkhead_try(b, S, nil) end
    c.wr_bulkhead_resize(b, 2)
    assert.equal(4, b.in_use)
    c.wr_bulkhead_release(b)
    assert.equal(c.WR_BULKHEAD_FULL, c.wr_bulkhead_try(b, S, nil))
  end)
end)

describe("limiter resize", function()
  local function limiter(limit, burst, options)
    local k = ffi.new("struct wr_limiter_config")
    c.wr_limiter_config_init(k)
    k.limit, k.burst = limit, burst
    for key, value in pairs(options or {}) do k[key] = value end
    local l = ffi.cast("struct wr_limiter *", ffi.new("char[?]", c.wr_limiter_bytes(k)))
    c.wr_limiter_init(l, k)
    return l, k
  end

  local function passes(l, now)
    local n, after = 0, ffi.new("uint64_t[1]")
    while c.wr_limiter_try(l, 0, 1, now, after) == c.WR_LIMITER_ADMITTED do n = n + 1 end
    return n
  end

  it("lets so many pass until it is lifted, and its burst goes along", function()
    local l = limiter(10, 20)
    assert.is_true(c.wr_limiter_resize(l, 5, 0))
    assert.equal(10, passes(l, 0))
    assert.equal(5, passes(l, S))
    assert.equal(10, l.declared_limit)
    assert.is_true(c.wr_limiter_resize(l, 0, 100 * S))
    assert.equal(20, passes(l, 100 * S))
    assert.equal(10, passes(l, 101 * S))
    assert.equal(0, l.declared_limit)
  end)

  it("stands above a policy that changes, which holds once it is lifted", function()
    local l, k = limiter(10, 10)
    c.wr_limiter_resize(l, 4, 0)
    k.limit, k.burst = 30, 30
    c.wr_limiter_reconfigure(l, k, 0)
    assert.equal(4, passes(l, 50 * S))
    assert.equal(30, l.declared_limit)
    c.wr_limiter_resize(l, 0, 100 * S)
    assert.equal(30, passes(l, 100 * S))
  end)

  it("goes along when there are other keys", function()
    local l, k = limiter(10, 10)
    c.wr_limiter_resize(l, 4, 0)
    k.max_keys = 16
    local to = ffi.cast("struct wr_limiter *", ffi.new("char[?]", c.wr_limiter_bytes(k)))
    c.wr_limiter_move(to, l, k, S)
    assert.equal(4, to.config.limit)
    assert.equal(10, to.declared_limit)
  end)

  it("is refused where the time of the rate does not allow it, and ends where it does no more",
    function()
    local l, k = limiter(10, 10, { period_ns = S / 1000 })
    assert.is_false(c.wr_limiter_resize(l, 2000, 0))
    assert.equal(10, l.config.limit)
    assert.equal(0, l.declared_limit)
    k.period_ns = S
    c.wr_limiter_reconfigure(l, k, 0)
    assert.is_true(c.wr_limiter_resize(l, 2000, 0))
    k.period_ns = S / 1000
    c.wr_limiter_reconfigure(l, k, 0)
    assert.equal(10, l.config.limit)
    assert.equal(0, l.declared_limit)
  end)
end)
