local c, ffi = require "spec.support.c" ("base/heap.h", "base/rng.h")

describe("heap", function()
  it("gives its nodes back in the order of their keys, whatever was removed in between", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local heap = ffi.new("struct wr_heap")
    local nodes = ffi.new("struct wr_heap_node[500]")
    for i = 0, 499 do c.wr_heap_push(heap, nodes[i], c.wr_rng_below(rng, 1000)) end
    for i = 0, 499, 3 do c.wr_heap_remove(heap, nodes[i]) end
    local last, count = -1, 0
    while heap.count > 0 do
      local first = heap.slots[0]
      local key = tonumber(first.key)
      assert.is_true(key >= last, "seed " .. seed)
      last, count = key, count + 1
      c.wr_heap_remove(heap, first)
    end
    assert.equal(500 - 167, count)
    c.wr_heap_fini(heap)
  end)
end)
