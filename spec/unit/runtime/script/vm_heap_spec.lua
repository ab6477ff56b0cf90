local c, ffi = require "spec.support.c" ("script/vm_heap.h")

describe("vm_heap", function()
  local heap
  before_each(function()
    heap = ffi.new("struct wr_vm_heap")
    c.wr_vm_heap_init(heap)
  end)
  after_each(function() c.wr_vm_heap_fini(heap) end)

  local function take(size) return c.wr_vm_heap_resize(heap, nil, 0, size) end
  local function give(ptr, size)
    assert.is_true(c.wr_vm_heap_resize(heap, ptr, size, 0) == nil)
  end
  local function address(ptr) return tonumber(ffi.cast("uintptr_t", ptr)) end

  it("lays small objects of a size side by side, in the order in which they are made", function()
    local before, apart = address(take(33)), 0
    for _ = 1, 300 do
      take(100) -- another size goes elsewhere
      local at = address(take(48))
      assert.is_true(at > before)
      if at ~= before + 48 then apart = apart + 1 end
      before = at
    end
    assert.is_true(apart <= 300 * 48 / 4096 + 1)
  end)

  it("gives the memory of a dropped object to the next one of its size", function()
    local kept, dropped = take(64), take(64)
    give(dropped, 64)
    assert.equal(address(dropped), address(take(50)))
    give(kept, 64)
  end)

  it("keeps what an object held, whatever sizes it goes through", function()
    local sizes = { 1, 16, 17, 200, 256, 257, 5000, 256, 300, 24, 70000, 8 }
    local ptr, size = take(8), 8
    ffi.copy(ptr, "abcdefg")
    for _, new in ipairs(sizes) do
      local least = math.min(size, new)
      local expected = ffi.string(ptr, math.min(least, 8))
      ptr = c.wr_vm_heap_resize(heap, ptr, size, new)
      assert.equal(expected, ffi.string(ptr, #expected))
      if new >= 8 then ffi.copy(ptr, "abcdefg") end
      size = new
    end
    give(ptr, size)
  end)

  it("goes on beyond its field", function()
    local held, count = {}, c.WR_VM_HEAP_FIELD / 256 + 1000
    for i = 1, count do
      held[i] = take(256)
      ffi.cast("uint32_t *", held[i])[63] = i
    end
    for i = 1, count do
      assert.equal(i, ffi.cast("uint32_t *", held[i])[63])
      give(held[i], 256)
    end
  end)
end)
