-- The exponential buckets behind percentiles.
local c, ffi = require "spec.support.c" ("arena/series_fine.h")

describe("fine buckets", function()
  local last = c.WR_SERIES_FINE - 1

  it("hold what is above one bound and up to the next", function()
    local value = 2 ^ -17
    while value < 2 ^ 7 do
      value = value * 1.0031
      local i = c.wr_series_fine_of(value)
      if value <= 2 ^ 7 then
        assert.is_true(i >= 1 and i < last)
        assert.is_true(value > c.wr_series_fine_bound(i - 1), value)
        assert.is_true(value <= c.wr_series_fine_bound(i) * (1 + 1e-12), value)
      end
    end
  end)

  it("are as wide as scale 3 of OpenTelemetry has it: 9 %", function()
    for i = 1, last - 1 do
      local ratio = c.wr_series_fine_bound(i) / c.wr_series_fine_bound(i - 1)
      assert.is_true(math.abs(ratio - 2 ^ (1 / 8)) < 1e-9)
    end
  end)

  it("have powers of two as bounds, which belong to the bucket below", function()
    for exponent = -17, 7 do
      local i = c.wr_series_fine_of(2 ^ exponent)
      assert.equal(2 ^ exponent, c.wr_series_fine_bound(i))
    end
  end)

  it("take anything", function()
    for _, value in ipairs { 0, -1, -1 / 0, 0 / 0, 1e-300, 2 ^ -17, 5e-324 } do
      assert.equal(0, c.wr_series_fine_of(value))
    end
    for _, value in ipairs { 128.1, 129, 1e300, 1 / 0 } do
      assert.equal(last, c.wr_series_fine_of(value))
    end
    assert.equal(last - 1, c.wr_series_fine_of(128))
  end)

  describe("quantiles", function()
    local counts
    before_each(function() counts = ffi.new("uint32_t[?]", c.WR_SERIES_FINE) end)

    local function add(value)
      local i = c.wr_series_fine_of(value)
      counts[i] = counts[i] + 1
    end

    it("are at most 9 % off, whatever the values are like", function()
      local seed = 1
      local function random()
        seed = (seed * 16807) % 2147483647
        return seed / 2147483647
      end
      for _, make in ipairs {
        function() return 0.0001 + random() * 0.01 end,
        function() return math.exp(-7 + 5 * random()) end,
        function() return random() < 0.9 and 0.002 or 3 * (1 + random()) end,
        function() return 0.0417 end,
      } do
        counts = ffi.new("uint32_t[?]", c.WR_SERIES_FINE)
        local values = {}
        for i = 1, 2000 do
          values[i] = make()
          add(values[i])
        end
        table.sort(values)
        for _, q in ipairs { 0.01, 0.5, 0.9, 0.95, 0.99, 1 } do
          local truth, told = values[math.ceil(q * 2000)], c.wr_series_fine_quantile(counts, q)
          assert.is_true(math.abs(told / truth - 1) < 0.091, q .. ": " .. told .. " " .. truth)
        end
      end
    end)

    it("are not known without values, and bounds outside of all buckets", function()
      local none = c.wr_series_fine_quantile(counts, 0.5)
      assert.is_true(none ~= none)
      add(1e-9)
      assert.equal(2 ^ -17, c.wr_series_fine_quantile(counts, 0.5))
      for _ = 1, 9 do add(1000) end
      assert.equal(128, c.wr_series_fine_quantile(counts, 0.5))
    end)
  end)
end)
