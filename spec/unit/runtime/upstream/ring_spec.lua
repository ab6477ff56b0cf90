local c, ffi = require "spec.support.c" ("upstream/ring.h")

local function build(count, weight)
  local ids, weights = ffi.new("uint64_t[?]", count), ffi.new("uint32_t[?]", count)
  for i = 0, count - 1 do
    ids[i] = 0x9e3779b97f4a7c15ULL * (i + 1)
    weights[i] = weight and weight(i) or 1
  end
  local ring = ffi.new "struct wr_ring"
  c.wr_ring_fill(ring, ids, weights, count)
  return ring
end

local function owner(ring, key)
  return ring.points[c.wr_ring_start(ring, key * 0x9e3779b97f4a7c15ULL)].member
end

describe("the ring", function()
  it("begins a walk at the first point at or after the hash, and wraps", function()
    local ring = build(3)
    local last = tonumber(ring.count) - 1
    assert.equal(0, tonumber(c.wr_ring_start(ring, 0)))
    for _, i in ipairs { 0, 1, 100, last } do
      assert.equal(i, tonumber(c.wr_ring_start(ring, ring.points[i].hash)))
      assert.equal((i + 1) % (last + 1), tonumber(c.wr_ring_start(ring, ring.points[i].hash + 1)))
    end
    c.wr_ring_fini(ring)
  end)

  it("has points by weight, each member at least one, and not too many", function()
    -- members, weight, least and most points
    local cases = {
      { 1, nil, 1024, 1024 },
      { 3, nil, 1024, 1026 },
      { 10, nil, 1600, 1600 },
      { 4096, nil, 131072, 131072 + 4096 },
      { 4096, function(i) return i == 0 and 65535 or 1 end, 131072, 131072 + 4096 },
    }
    for _, case in ipairs(cases) do
      local ring = build(case[1], case[2])
      local count, seen = tonumber(ring.count), {}
      for i = 0, count - 1 do seen[ring.points[i].member] = true end
      for i = 0, case[1] - 1 do assert.is_true(seen[i], "member " .. i) end
      assert.is_true(count >= case[3] and count <= case[4], count)
      c.wr_ring_fini(ring)
    end
  end)

  it("spreads keys by weight", function()
    local weights = { [0] = 1, 2, 3, 4 }
    local ring, got = build(4, function(i) return weights[i] end), { [0] = 0, 0, 0, 0 }
    for key = 1, 20000 do
      local at = owner(ring, key)
      got[at] = got[at] + 1
    end
    for i = 0, 3 do assert.near(weights[i] / 10, got[i] / 20000, 0.03) end
    c.wr_ring_fini(ring)
  end)

  it("moves the keys of who goes, and no others", function()
    local before, after, moved = build(10), build(9), 0
    for key = 1, 20000 do
      local was = owner(before, key)
      if was == 9 then
        moved = moved + 1
      else
        -- Nine members have fewer points in all, but the points they had stay where they were.
        assert.equal(was, owner(after, key))
      end
    end
    assert.near(0.1, moved / 20000, 0.03)
    c.wr_ring_fini(before)
    c.wr_ring_fini(after)
  end)
end)
