local c, ffi = require "spec.support.c" ("upstream/maglev.h", "upstream/ring.h")

local function fill(size, members)
  local list = ffi.new("struct wr_maglev_member[?]", #members)
  for i, m in ipairs(members) do
    list[i - 1] = { offset = m[1], skip = m[2], weight = m[3] or 1 }
  end
  local table = ffi.new("uint16_t[?]", size)
  c.wr_maglev_fill(table, size, list, #members)
  local out = {}
  for i = 0, size - 1 do out[i + 1] = table[i] end
  return out
end

local function big(count, weight)
  local list = ffi.new("struct wr_maglev_member[?]", count)
  for i = 0, count - 1 do
    list[i] = c.wr_maglev_member(0x9e3779b97f4a7c15ULL * (i + 1), weight and weight(i) or 1)
  end
  local table = ffi.new("uint16_t[?]", c.WR_MAGLEV_SIZE)
  c.wr_maglev_fill(table, c.WR_MAGLEV_SIZE, list, count)
  return table
end

local function shares(table)
  local got = {}
  for i = 0, c.WR_MAGLEV_SIZE - 1 do got[table[i]] = (got[table[i]] or 0) + 1 end
  return got
end

describe("maglev", function()
  it("fills the table of the paper's example", function()
    -- Eisenbud et al. 2016, table 1: B0 (3, 4), B1 (0, 2), B2 (3, 1), M = 7; then without B1.
    assert.same({ 1, 0, 1, 0, 2, 2, 0 }, fill(7, { { 3, 4 }, { 0, 2 }, { 3, 1 } }))
    assert.same({ 0, 0, 0, 0, 1, 1, 1 }, fill(7, { { 3, 4 }, { 3, 1 } }))
  end)

  it("gives the weights' shares", function()
    assert.same({ 0, 0, 0, 0, 1, 0, 0 }, fill(7, { { 0, 1, 3 }, { 2, 2, 1 } }))
    local got = shares(big(4, function(i) return i + 1 end))
    for i = 0, 3 do
      assert.near((i + 1) / 10 * c.WR_MAGLEV_SIZE, got[i], 2)
    end
  end)

  it("gives equal members shares that differ by one place at most", function()
    for _, count in ipairs { 1, 2, 3, 17, 500 } do
      local least, most = math.huge, 0
      for _, n in pairs(shares(big(count))) do
        least, most = math.min(least, n), math.max(most, n)
      end
      assert.is_true(most - least <= 1, count .. " members")
    end
  end)

  it("has a place for each of as many members as an upstream may have", function()
    local got = shares(big(4096))
    for i = 0, 4095 do assert.is_true(got[i] >= 15) end
  end)

  it("moves few keys of those who stay when one goes", function()
    local before, after = big(10), big(9)
    local moved = 0
    for i = 0, c.WR_MAGLEV_SIZE - 1 do
      if before[i] ~= 9 and before[i] ~= after[i] then moved = moved + 1 end
    end
    -- The paper has up to about twice what must move; a modulus would move nine tenths.
    assert.is_true(moved < c.WR_MAGLEV_SIZE / 10, moved)
  end)
end)
