local c, ffi = require "spec.support.c" ("arena/slot.h", "base/rng.h")

local function new_slot() return ffi.new "struct wr_slot" end

describe("tally", function()
  it("gives each generation a row, until there are no more", function()
    local slot, rows = new_slot(), {}
    for number = 1, c.WR_TALLY_ROWS do
      rows[number] = c.wr_tally_take(slot, number)
      assert.equal(number, tonumber(rows[number].number))
    end
    assert.is_true(c.wr_tally_take(slot, 100) == nil)
    c.wr_tally_count(nil, c.WR_TALLY_OK, 1) -- nobody to tell
    c.wr_tally_free(nil)
    c.wr_tally_count(rows[3], c.WR_TALLY_RAISED, 1e6)
    c.wr_tally_free(rows[3])
    local again = c.wr_tally_take(slot, 100)
    assert.is_true(again == rows[3])
    assert.equal(0, tonumber(again.ends[c.WR_TALLY_RAISED]))
    c.wr_tally_clear(slot)
    assert.equal(0, tonumber(again.number))
  end)

  it("counts how requests ended, and how long they took", function()
    local slot = new_slot()
    local t = c.wr_tally_take(slot, 7)
    for i = 0, c.WR_TALLY_ENDS - 1 do
      for _ = 0, i do c.wr_tally_count(t, i, 5e6) end
    end
    for i = 0, c.WR_TALLY_ENDS - 1 do assert.equal(i + 1, tonumber(t.ends[i])) end
    assert.equal(10, t.latencies[c.wr_tally_bucket(5e6)])
    c.wr_tally_reset(t)
    assert.equal(0, t.latencies[c.wr_tally_bucket(5e6)])
    assert.equal(0, tonumber(t.ends[0]))
  end)

  it("has buckets that grow by a quarter at most, without gaps", function()
    assert.equal(0, c.wr_tally_bucket(0))
    assert.equal(0, c.wr_tally_bucket(65535))
    assert.equal(1, c.wr_tally_bucket(65536))
    local last = c.WR_TALLY_LATENCIES - 1
    for bucket = 0, last - 1 do
      local most = c.wr_tally_bucket_max(bucket)
      assert.equal(bucket, c.wr_tally_bucket(most), bucket)
      assert.equal(bucket + 1, c.wr_tally_bucket(most + 1), bucket)
      if bucket > 1 then
        local ratio = tonumber(most + 1) / tonumber(c.wr_tally_bucket_max(bucket - 1) + 1)
        assert.is_true(ratio > 1.1 and ratio <= 1.25, bucket .. ": " .. ratio)
      end
    end
    assert.equal(last, c.wr_tally_bucket(2e12))
    assert.equal(last, c.wr_tally_bucket(0xffffffffffffffffULL))
    assert.is_true(c.wr_tally_bucket_max(last) == 0xffffffffffffffffULL)
  end)
end)
