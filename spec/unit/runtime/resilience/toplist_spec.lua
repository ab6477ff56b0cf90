-- Which keys are met most, of very many.
local c, ffi = require "spec.support.c" ("resilience/toplist.h")

local S = 1e9

local function read(list, now)
  local out = ffi.new "struct wr_toplist_entry[8]"
  local found = {}
  for i = 1, tonumber(c.wr_toplist_read(list, now, out)) do
    local e = out[i - 1]
    found[i] = { tonumber(e.key), tonumber(e.count), tonumber(e.seen_ns) }
  end
  return found
end

describe("a toplist", function()
  local list
  before_each(function() list = ffi.new "struct wr_toplist" end)

  local function count(key, times, now)
    for _ = 1, times do c.wr_toplist_count(list, key, now) end
  end

  it("has the most frequent first, and nobody for those without a key", function()
    assert.same({}, read(list, S))
    count(0, 5, S)
    count(1, 2, S)
    count(2, 7, S)
    count(3, 3, 2 * S)
    assert.same({ { 2, 7, S }, { 3, 3, 2 * S }, { 1, 2, S } }, read(list, 2 * S))
  end)

  it("finds the few among many, and never says more of one than there was", function()
    local told = {}
    for i = 1, 20000 do
      local key = i % 4 == 0 and 1 or i % 5 == 0 and 2 or 1000 + i * 7919 % 3000
      told[key] = (told[key] or 0) + 1
      count(key, 1, S)
    end
    local found = read(list, S)
    assert.same({ 1, 2 }, { found[1][1], found[2] and found[2][1] })
    for _, e in ipairs(found) do assert.is_true(e[2] <= told[e[1]], e[1]) end
    assert.is_true(found[1][2] >= 4900, found[1][2])
  end)

  it("forgets who had a pause of a minute", function()
    count(1, 5, S)
    count(2, 3, 40 * S)
    assert.equal(2, #read(list, 60 * S))
    assert.same({ { 2, 3, 40 * S } }, read(list, 61 * S))
    count(1, 1, 62 * S)
    assert.same({ { 2, 3, 40 * S }, { 1, 1, 62 * S } }, read(list, 62 * S))
  end)

  it("reads any bytes", function()
    ffi.fill(list, ffi.sizeof(list), 0xff)
    assert.same({}, read(list, S))
    count(1, 2, S)
    assert.same({ { 1, 2, S } }, read(list, S))
  end)
end)
