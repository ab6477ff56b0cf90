local c, ffi = require "spec.support.c" ("script/meter.h")
local open = require "spec.support.arena"

describe("meter", function()
  local arena, meter
  before_each(function()
    arena = assert(open(c, ffi, { series_max = 1024 }))
    meter = ffi.new("struct wr_meter")
    c.wr_meter_init(meter, arena, 0, ffi.new("struct wr_hash_key", { 1, 2 }))
  end)
  after_each(function()
    c.wr_meter_fini(meter)
    c.wr_arena_fini(arena)
  end)

  local function values(family)
    local view, out = ffi.new("struct wr_series_view"), {}
    while c.wr_series_next(arena, view) do
      if view.family_number == family then
        out[ffi.string(view.labels.ptr, view.labels.len)] = c.wr_series_value(arena, view.series)
      end
    end
    return out
  end

  it("keeps more series apart than it remembers without a search", function()
    local expected = {}
    for round = 1, 3 do
      for i = 1, 5 * c.WR_METER_MEMOS do
        local route, why = "/r/" .. i % 40, "w" .. i
        c.wr_meter_add(meter, c.WR_METRIC_RESPONSES, i, "route", route, "why", why, nil)
        expected[('route="%s",why="%s"'):format(route, why)] = i * round
      end
    end
    assert.same(expected, values(c.WR_METRIC_RESPONSES))
  end)

  it("knows where one value ends and the next begins", function()
    for _, pair in ipairs { { "ab", "c" }, { "a", "bc" }, { "abc", "" }, { "", "abc" } } do
      for _ = 1, 2 do
        c.wr_meter_add(meter, c.WR_METRIC_RESPONSES, 1, "route", pair[1], "why", pair[2], nil)
      end
    end
    assert.same({ ['route="ab",why="c"'] = 2, ['route="a",why="bc"'] = 2,
      ['route="abc",why=""'] = 2, ['route="",why="abc"'] = 2 }, values(c.WR_METRIC_RESPONSES))
  end)

  it("keeps families with the same values apart", function()
    for _ = 1, 2 do
      c.wr_meter_add(meter, c.WR_METRIC_RETRY_CALLS, 1, "name", "a", "kind", "b", nil)
      c.wr_meter_add(meter, c.WR_METRIC_RETRY_ATTEMPTS, 10, "name", "a", "reason", "b", nil)
    end
    assert.same({ ['name="a",kind="b"'] = 2 }, values(c.WR_METRIC_RETRY_CALLS))
    assert.same({ ['name="a",reason="b"'] = 20 }, values(c.WR_METRIC_RETRY_ATTEMPTS))
  end)

  it("has one word for a text, for good", function()
    local function word(text)
      return c.wr_meter_word(meter, ffi.new("struct wr_str", { text, #text }))
    end
    local first = word "/users/:id"
    for i = 1, 1000 do word("/other/" .. i) end
    assert.equal(first, word "/users/:id")
    assert.equal("/users/:id", ffi.string(first))
    assert.not_equal(first, word "/users/:i")
  end)

  it("remembers a series by the addresses of its key and its code", function()
    local a, b = ffi.new("char[2]", "a"), ffi.new("char[2]", "b")
    local function memo(...) return c.wr_meter_memo(meter, ...) end
    assert.equal(0xffffffff, memo(3, a, b, 200)[0])
    memo(3, a, b, 200)[0] = 7
    assert.equal(7, memo(3, a, b, 200)[0])
    local others = { { 4, a, b, 200 }, { 3, b, a, 200 }, { 3, a, nil, 200 }, { 3, a, b, 201 } }
    for _, other in ipairs(others) do
      assert.equal(0xffffffff, memo(unpack(other, 1, 4))[0])
    end
  end)

  it("remembers two keys that are asked for by turns, wherever they fall", function()
    local a = ffi.new("char[2]", "a")
    for code = 1, 500 do
      c.wr_meter_fini(meter)
      c.wr_meter_init(meter, arena, 0, ffi.new("struct wr_hash_key", { 1, 2 }))
      c.wr_meter_memo(meter, 3, a, nil, 1000)[0] = 7
      c.wr_meter_memo(meter, 3, a, nil, code)[0] = 8
      assert.equal(7, c.wr_meter_memo(meter, 3, a, nil, 1000)[0])
      assert.equal(8, c.wr_meter_memo(meter, 3, a, nil, code)[0])
    end
  end)

  it("escapes, and takes values of any length", function()
    local odd, long = 'a"b\\c\nd', ("x"):rep(200)
    for _ = 1, 2 do
      c.wr_meter_add(meter, c.WR_METRIC_RESPONSES, 1, "route", odd, "why", "w", nil)
      c.wr_meter_add(meter, c.WR_METRIC_RESPONSES, 1, "route", long, "why", "w", nil)
    end
    assert.same({ ['route="a\\"b\\\\c\\nd",why="w"'] = 2,
      [('route="%s",why="w"'):format(long)] = 2 }, values(c.WR_METRIC_RESPONSES))
  end)
end)
