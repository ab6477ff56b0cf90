local c, ffi = require "spec.support.c" ("arena/series.h")
local open = require "spec.support.arena"

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

local function family(name, type, buckets)
  local f = ffi.new("struct wr_family", { name = name, help = "Help", type = type })
  for i, bound in ipairs(buckets or {}) do f.buckets[i - 1] = bound end
  f.bucket_count = #(buckets or {})
  return f
end

describe("series", function()
  local arena, err
  before_each(function()
    arena = assert(open(c, ffi))
    err = ffi.new("struct wr_error")
  end)
  after_each(function() c.wr_arena_fini(arena) end)

  local function listed()
    local view, out = ffi.new("struct wr_series_view"), {}
    while c.wr_series_next(arena, view) do
      out[#out + 1] = ffi.string(view.family.name) .. "{" .. ffi.string(view.labels.ptr,
        view.labels.len) .. "}"
    end
    return out
  end

  it("has a name, a help text and a type for every row of the table that promtool accepts",
    function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    local types = { [0] = "counter", "gauge", "histogram" }
    for i = 0, c.WR_METRICS - 1 do
      local view = ffi.new("struct wr_series_view")
      c.wr_series_get(arena, i, str "")
      while c.wr_series_next(arena, view) and view.family_number ~= i do end
      local name = ffi.string(view.family.name)
      file:write("# HELP ", name, " ", ffi.string(view.family.help), "\n# TYPE ", name, " ",
        types[view.family.type], "\n")
      if view.family.type == c.WR_SERIES_HISTOGRAM then
        file:write(name, '_bucket{le="+Inf"} 0\n', name, "_sum 0\n", name, "_count 0\n")
      else
        file:write(name, " 0\n")
      end
    end
    file:close()
    local pipe = assert(io.popen("promtool check metrics <" .. path .. " 2>&1; echo exit $?"))
    local said = pipe:read("*a")
    pipe:close()
    os.remove(path)
    assert.equal("exit 0\n", said)
  end)

  it("gives one number per family and labels", function()
    local a = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="a"')
    assert.equal(a, c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="a"'))
    assert.are_not.equal(a, c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="b"'))
    assert.are_not.equal(a, c.wr_series_get(arena, c.WR_METRIC_RESPONSES, str 'name="a"'))
  end)

  it("walks family by family in order of creation", function()
    c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="b"')
    c.wr_series_get(arena, c.WR_METRIC_RESPONSES, str 'route="/"')
    c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="a"')
    assert.same({ 'weir_responses_total{route="/"}', 'weir_fallback_total{name="b"}',
      'weir_fallback_total{name="a"}', "weir_repairs_total{}", "weir_series_overflow_total{}" },
        listed())
  end)

  it("sums the shards of counters and gauges, and takes the largest where the family says so",
    function()
    local counter = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str "")
    local gauge = c.wr_series_get(arena, c.WR_METRIC_LUA_MEMORY, str "")
    local largest = c.wr_series_get(arena, c.WR_METRIC_POLICY_GENERATION, str "")
    for shard = 0, 3 do
      for _ = 1, shard do c.wr_series_add(arena, shard, counter, 0.5) end
      c.wr_series_set(arena, shard, gauge, shard * 10)
      c.wr_series_set(arena, shard, largest, 5 - shard)
    end
    assert.equal(3, c.wr_series_value(arena, counter))
    assert.equal(60, c.wr_series_value(arena, gauge))
    assert.equal(5, c.wr_series_value(arena, largest))
    c.wr_series_forget(arena, 3)
    assert.equal(3, c.wr_series_value(arena, counter))
    assert.equal(30, c.wr_series_value(arena, gauge))
  end)

  it("puts a value into the first bucket whose bound is not below it", function()
    local f = c.wr_series_family(arena, family("user_seconds", c.WR_SERIES_HISTOGRAM, { 1, 2,
      5 }), err)
    local s = c.wr_series_get(arena, f, str "")
    for shard, value in pairs { [0] = 0.5, [1] = 1, [2] = 1.5, [3] = 99 } do
      c.wr_series_observe(arena, shard, s, value)
    end
    local h = ffi.new("struct wr_series_histogram")
    c.wr_series_read(arena, s, h)
    local cumulative = {}
    for i = 0, 3 do cumulative[i + 1] = tonumber(h.cumulative[i]) end
    assert.same({ 2, 3, 3, 4 }, cumulative)
    assert.equal(4, tonumber(h.count))
    assert.equal(102, h.sum)
  end)

  for _, case in ipairs {
    { family("1x", 0), "the name is not like" },
    { family("", 0), "the name is not like" },
    { family("a-b", 0), "the name is not like" },
    { family("a", 3), "there is no such type" },
    { family("a", 2), "histograms have buckets" },
    { family("a", 0, { 1 }), "histograms have buckets" },
    { family("a", 2, { 1, 1 }), "do not ascend" },
    { family("a", 2, { 1, 1 / 0 }), "not finite" },
    { family("weir_fallback_total", 1), "exists with another type" },
    { family("weir_loop_lag_seconds", 2, { 1, 2 }), "other buckets" },
  } do
    it("refuses a family of which it says: " .. case[2], function()
      assert.equal(-1, c.wr_series_family(arena, case[1], err))
      assert.matches(case[2], ffi.string(err.message))
    end)
  end

  it("finds a family again that was registered alike", function()
    local first = c.wr_series_family(arena, family("mine_total", 0), err)
    assert.is_true(first >= c.WR_METRICS)
    assert.equal(first, c.wr_series_family(arena, family("mine_total", 0), err))
    assert.equal(c.WR_METRIC_FALLBACK,
      c.wr_series_family(arena, family("weir_fallback_total", 0), err))
  end)

  it("refuses one family more than it may have", function()
    for i = c.WR_METRICS, c.WR_SERIES_FAMILIES - 1 do
      assert.equal(i, c.wr_series_family(arena, family("m" .. i, 0), err))
    end
    assert.equal(-1, c.wr_series_family(arena, family("one_more", 0), err))
    assert.matches("there are 512 families already", ffi.string(err.message))
  end)

  it("answers with the family's other beyond a thousand series, and counts it", function()
    c.wr_arena_fini(arena)
    arena = assert(open(c, ffi, { series_max = 4096 }))
    local seen = {}
    for i = 1, 1500 do
      seen[c.wr_series_get(arena, c.WR_METRIC_FALLBACK,
        str(('name="n%d",step="a\\"=,b"'):format(i)))] = true
    end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(1001, count)
    local all = listed()
    assert.equal('weir_fallback_total{name="other",step="other"}', all[#all - 2])
    assert.equal(500, tonumber(c.wr_series_overflows(arena)))
    local overflow = c.wr_series_get(arena, c.WR_METRIC_SERIES_OVERFLOW, str "")
    assert.equal(500, c.wr_series_value(arena, overflow))
  end)

  it("has room for every family's other when the arena is full of series", function()
    local last
    for i = 1, 300 do last = c.wr_series_get(arena, c.WR_METRIC_RESPONSES,
      str('route="' .. i .. '"')) end
    assert.equal(last, c.wr_series_get(arena, c.WR_METRIC_RESPONSES, str 'route="other"'))
    local seen = { [last] = true }
    for i = 0, c.WR_METRICS - 1 do
      if i ~= c.WR_METRIC_RESPONSES then
        local s = c.wr_series_get(arena, i, str(('x="%s"'):format(("y"):rep(1000))))
        assert.is_nil(seen[s])
        seen[s] = true
      end
    end
  end)

  it("sends labels that are too long to other", function()
    local s = c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str('name="' .. ("x"):rep(2000) .. '"'))
    assert.equal(s, c.wr_series_get(arena, c.WR_METRIC_FALLBACK, str 'name="other"'))
  end)
end)
