local c, ffi = require "spec.support.c" ("arena/slab.h", "base/rng.h")
local open = require "spec.support.arena"

local function stats(arena)
  local s = ffi.new("struct wr_slab_stats")
  c.wr_slab_stats(arena, s)
  return s
end

describe("slab", function()
  local arena
  before_each(function() arena = assert(open(c, ffi, { size = 0 })) end)
  after_each(function() c.wr_arena_fini(arena) end)

  it("gives zeroed, 16-byte aligned memory even where something lay before", function()
    for _, size in ipairs { 1, 48, 49, 1000, 32752, 32753, 65520, 200000 } do
      local first = c.wr_slab_take(arena, size, c.WR_SLAB_ENTRY_STATE, 1)
      assert.equal(0, tonumber(ffi.cast("uintptr_t", first) % 16))
      ffi.fill(first, size, 0xff)
      c.wr_slab_give(arena, first)
      local again = ffi.cast("uint8_t *", c.wr_slab_take(arena, size, c.WR_SLAB_ENTRY_STATE, 1))
      for i = 0, size - 1, 7 do assert.equal(0, again[i], size) end
      c.wr_slab_give(arena, again)
    end
  end)

  it("keeps the objects apart and whole in any order of taking and giving", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local live, count = {}, 0
    for step = 1, 2000 do
      if count > 0 and tonumber(c.wr_rng_below(rng, 100)) < 45 then
        local at = tonumber(c.wr_rng_below(rng, count)) + 1
        local o = live[at]
        for i = 0, o.size - 1, 13 do assert.equal(o.mark, o.bytes[i], "seed " .. seed) end
        c.wr_slab_give(arena, o.bytes)
        live[at], live[count], count = live[count], nil, count - 1
      else
        local size = tonumber(c.wr_rng_below(rng, step % 50 == 0 and 200000 or 3000)) + 1
        local bytes = ffi.cast("uint8_t *", c.wr_slab_take(arena, size, c.WR_SLAB_ENTRY_STATE,
          step))
        assert.is_true(bytes ~= nil, "seed " .. seed)
        local mark = step % 251
        ffi.fill(bytes, size, mark)
        count = count + 1
        live[count] = { bytes = bytes, size = size, mark = mark }
      end
    end
    assert.equal(count, tonumber(stats(arena).objects))
    for _, o in ipairs(live) do c.wr_slab_give(arena, o.bytes) end
    assert.equal(0, tonumber(stats(arena).objects))
  end)

  it("is NULL when full, counts it, and serves other sizes from what was given back", function()
    local taken = {}
    while true do
      local o = c.wr_slab_take(arena, 30000, c.WR_SLAB_ENTRY_STATE, 1)
      if o == nil then break end
      taken[#taken + 1] = o
    end
    assert.is_true(#taken > 100)
    assert.equal(1, tonumber(stats(arena).refused))
    assert.is_true(c.wr_slab_take(arena, 100, c.WR_SLAB_ENTRY_STATE, 1) == nil)
    for _, o in ipairs(taken) do c.wr_slab_give(arena, o) end
    local small = c.wr_slab_take(arena, 100, c.WR_SLAB_ENTRY_STATE, 1)
    assert.is_true(small ~= nil)
    assert.is_true(c.wr_slab_take(arena, c.WR_SLAB_OBJECT_MAX, c.WR_SLAB_ENTRY_STATE, 1) ~= nil)
    assert.is_true(c.wr_slab_take(arena, c.WR_SLAB_OBJECT_MAX + 1, c.WR_SLAB_ENTRY_STATE, 1) == nil)
  end)
end)
