local c, ffi = require "spec.support.c" ("base/region.h")

-- The blocks of a region, in order: their addresses.
ffi.cdef "struct wr_region_block { struct wr_region_block *next; size_t cap; };"

local function blocks(r)
  local out = {}
  local block = r.first
  while block ~= nil do
    out[#out + 1] = tostring(block)
    block = block.next
  end
  return out
end

describe("region", function()
  local r

  before_each(function()
    r = ffi.new("struct wr_region")
    c.wr_region_init(r, 256 * 1024)
  end)

  after_each(function() c.wr_region_fini(r) end)

  local function take(size) return assert.is_truthy(c.wr_region_take(r, size)) end

  local function fill(count, size)
    for _ = 1, count do take(size) end
  end

  it("allocates nothing before it is asked", function()
    assert.same({}, blocks(r))
    assert.equal(0, tonumber(r.total))
  end)

  it("hands out what is aligned and does not overlap", function()
    local last
    for size = 1, 200 do
      local at = tonumber(ffi.cast("uintptr_t", take(size)))
      ffi.fill(ffi.cast("void *", at), size, size % 256)
      assert.equal(0, at % 16)
      last = last or at
    end
    local first = ffi.cast("unsigned char *", last)
    assert.equal(1, first[0])
  end)

  it("hands out nothing at all, too", function()
    take(0)
    fill(4, 1024)
    take(0)
    c.wr_region_clear(r)
    take(0)
  end)

  it("says no past its maximum, and yes to what still fits", function()
    take(256 * 1024 - 64)
    assert.is_true(c.wr_region_take(r, 80) == nil)
    take(64)
    assert.is_true(c.wr_region_take(r, 1) == nil)
    assert.is_true(c.wr_region_copy(r, ffi.new("struct wr_str", { "x", 1 })).ptr == nil)
  end)

  it("uses the same blocks again after it was cleared", function()
    fill(10, 1000)
    local before = blocks(r)
    assert.equal(3, #before)
    for _ = 1, 3 do
      c.wr_region_clear(r)
      assert.equal(0, tonumber(r.total))
      fill(10, 1000)
      assert.same(before, blocks(r))
    end
  end)

  it("keeps 16 KiB at most", function()
    fill(100, 1000)
    assert.equal(25, #blocks(r))
    c.wr_region_clear(r)
    assert.equal(4, #blocks(r))
  end)

  it("does not keep a block that is larger than that", function()
    take(20 * 1024)
    fill(2, 3000)
    c.wr_region_clear(r)
    assert.same({}, blocks(r))
    take(1)
    assert.equal(1, #blocks(r))
  end)

  it("puts what is larger than a kept block before it", function()
    fill(8, 1000)
    local kept = blocks(r)
    c.wr_region_clear(r)
    take(10)
    take(9000)
    take(4000)
    local now = blocks(r)
    assert.equal(3, #now)
    assert.same({ kept[1], kept[2] }, { now[1], now[3] })
  end)

  it("copies with a NUL behind", function()
    local copy = c.wr_region_copy(r, ffi.new("struct wr_str", { "hello", 5 }))
    assert.equal("hello", ffi.string(copy.ptr))
    assert.equal(5, tonumber(copy.len))
  end)
end)
