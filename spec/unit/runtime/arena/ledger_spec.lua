local c, ffi = require "spec.support.c" ("arena/ledger.h", "base/rng.h")
local open = require "spec.support.arena"

local function ref(index, generation)
  return ffi.new("struct wr_entry_ref", { index, generation or 1 })
end

describe("ledger", function()
  local arena, ledger
  before_each(function()
    arena = assert(open(c, ffi))
    ledger = ffi.new("struct wr_ledger")
    c.wr_ledger_init(ledger, arena, 1)
  end)
  after_each(function()
    c.wr_ledger_fini(ledger)
    c.wr_arena_fini(arena)
  end)

  it("hands out each row once, refuses when full, and counts it", function()
    local seen = {}
    for _ = 1, 256 do
      local row = c.wr_ledger_take(ledger, ref(0))
      assert.is_nil(seen[row.number])
      seen[row.number] = true
      row.state = c.WR_ROW_LIVE
    end
    assert.is_true(c.wr_ledger_take(ledger, ref(0)) == nil)
    assert.equal(1, tonumber(ledger.full))
    assert.equal(256, c.wr_ledger_count(arena, 1))
    assert.equal(0, c.wr_ledger_count(arena, 0))
  end)

  it("finds a row by number and generation, until it is given back", function()
    local row = c.wr_ledger_take(ledger, ref(3))
    row.state = c.WR_ROW_LIVE
    local number, generation = row.number, row.generation
    assert.equal(row, c.wr_ledger_find(ledger, number, generation))
    c.wr_ledger_give(ledger, row)
    assert.is_true(c.wr_ledger_find(ledger, number, generation) == nil)
    local again = c.wr_ledger_take(ledger, ref(3))
    again.state = c.WR_ROW_LIVE
    assert.equal(number, again.number)
    assert.is_true(c.wr_ledger_find(ledger, number, generation) == nil)
    assert.is_true(c.wr_ledger_find(ledger, 256, 1) == nil)
  end)

  it("walks the rows of one entry in all slots", function()
    local other = ffi.new("struct wr_ledger")
    c.wr_ledger_init(other, arena, 3)
    for i = 0, 9 do
      for _, l in ipairs { ledger, other } do
        local row = c.wr_ledger_take(l, ref(i % 2, 5))
        row.state = i == 4 and c.WR_ROW_FREE or i == 6 and c.WR_ROW_WAITING or c.WR_ROW_LIVE
      end
    end
    local at, slot, count = ffi.new("uint64_t[1]"), ffi.new("uint32_t[1]"), {}
    local row = c.wr_ledger_each(arena, ref(0, 5), at, slot)
    while row ~= nil do
      count[slot[0]] = (count[slot[0]] or 0) + 1
      assert.equal(slot[0], c.wr_ledger_slot(arena, row))
      row = c.wr_ledger_each(arena, ref(0, 5), at, slot)
    end
    assert.same({ [1] = 4, [3] = 4 }, count)
    at[0] = 0
    assert.is_true(c.wr_ledger_each(arena, ref(0, 6), at, nil) == nil)
    c.wr_ledger_fini(other)
  end)

  it("leaves what is not free to whoever opens the table next", function()
    local kept = c.wr_ledger_take(ledger, ref(2))
    kept.state = c.WR_ROW_LIVE
    c.wr_ledger_take(ledger, ref(2)) -- taken, never committed: the worker died
    local heir = ffi.new("struct wr_ledger")
    c.wr_ledger_init(heir, arena, 1)
    assert.equal(255, heir.free_count)
    local at = ffi.new("uint32_t[1]")
    assert.equal(kept, c.wr_ledger_next(arena, 1, at))
    assert.is_true(c.wr_ledger_next(arena, 1, at) == nil)
    c.wr_ledger_give(heir, kept)
    assert.equal(256, heir.free_count)
    c.wr_ledger_fini(heir)
  end)

  it("delivers each announced row once, whatever the order", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local rows, expected = {}, {}
    for i = 1, 256 do rows[i] = c.wr_ledger_take(ledger, ref(0)) end
    for _ = 1, 100 do
      local row = rows[tonumber(c.wr_rng_below(rng, 256)) + 1]
      expected[row.number] = true
      c.wr_ledger_announce(arena, row)
    end
    local number = ffi.new("uint32_t[1]")
    while c.wr_ledger_announced(ledger, number) do
      assert.is_true(expected[number[0]], "seed " .. seed)
      expected[number[0]] = nil
    end
    assert.is_nil(next(expected), "seed " .. seed)
  end)
end)
