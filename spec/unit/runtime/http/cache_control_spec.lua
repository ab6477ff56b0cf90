local c, ffi = require "spec.support.c" ("http/cache_control.h")
local fields = require "spec.support.fields"

local NUMBERS = { "max_age", "s_maxage", "stale_while_revalidate", "stale_if_error", "min_fresh",
  "max_stale" }
local FLAGS = { "no_store", "no_cache", "is_private", "is_public", "must_revalidate",
  "proxy_revalidate", "must_understand", "only_if_cached" }

-- What the lines of a field say, without what they do not say.
local function read_field(field, ...)
  local list = {}
  for i, value in ipairs { ... } do list[i] = { field, value } end
  local cc = ffi.new("struct wr_cache_control")
  c.wr_cache_control_read(fields.list(list), fields.slice(field:lower()), cc)
  local out = {}
  for _, name in ipairs(NUMBERS) do
    if cc[name] ~= -1 then out[name] = tonumber(cc[name]) end
  end
  for _, name in ipairs(FLAGS) do out[name] = cc[name] or nil end
  return out, cc
end

local function read(...) return read_field("Cache-Control", ...) end

describe("Cache-Control", function()
  before_each(fields.clear)

  for _, case in ipairs {
    { "no-store", { no_store = true } },
    { "No-StOrE , PUBLIC", { no_store = true, is_public = true } },
    { "must-revalidate,proxy-revalidate,must-understand, only-if-cached",
      { must_revalidate = true, proxy_revalidate = true, must_understand = true,
        only_if_cached = true } },
    { "no-store; private", { no_store = true }, "a restriction holds, whatever follows" },
    { "private; max-age=60", { is_private = true } },
    { "max-age=60; public", { max_age = 0 } },
    { "max-age=60", { max_age = 60 } },
    { "MaX-aGe=60", { max_age = 60 } },
    { 'max-age="60"', { max_age = 60 }, "quotes around a token mean nothing" },
    { "max-age=0060", { max_age = 60 } },
    { "max-age=99999999999999999999", { max_age = 2 ^ 31 }, "RFC 9111 1.2.2" },
    { "max-age='60'", { max_age = 0 }, "a single quote is part of the token" },
    { "max-age=60.0", { max_age = 0 }, "no number: stale" },
    { "max-age=-60", { max_age = 0 }, "no number: stale" },
    { "max-age=60a", { max_age = 0 }, "no number: stale" },
    { "max-age =60", { max_age = 0 }, "white space: not ours to repair" },
    { "max-age= 60", { max_age = 0 }, "white space: not ours to repair" },
    { "max-age", { max_age = 0 }, "a lifetime that says nothing" },
    { "max-age=60, max-age=60", { max_age = 60 }, "the same twice" },
    { "max-age=60, max-age=1", { max_age = 0 }, "RFC 9111 4.2.1: stale when they disagree" },
    { 'x="max-age=60", max-age=1', { max_age = 1 }, "quoted strings hold no directives" },
    { 'max-age=1, x="max-age=60', { max_age = 1 }, "a quote that is never closed" },
    { 'x="a\\", max-age=60", s-maxage=1', { s_maxage = 1 }, "an escaped quote" },
    { 'max-age="6\\0"', { max_age = 0 }, "escapes in a number: not understood" },
    { "stale-while-revalidate=5, stale-if-error=6",
      { stale_while_revalidate = 5, stale_if_error = 6 } },
    { "stale-if-error=x", { stale_if_error = 0 }, "permits nothing" },
    { "stale-if-error=9, stale-if-error=6", { stale_if_error = 6 }, "the smaller permission" },
    { "min-fresh=5, min-fresh=9, min-fresh=x", { min_fresh = 9 }, "the larger wish" },
    { "max-stale=5", { max_stale = 5 } },
    { "max-stale=x", { max_stale = 0 } },
    { "private, no-cache", { is_private = true, no_cache = true } },
    { 'private="a, b"', {} },
    { 'private="a b"', { is_private = true }, "no list of names: all of it" },
    { 'no-cache=""', { no_cache = true }, "an empty list: all of it" },
    { 'no-cache="a", no-cache', { no_cache = true } },
    { ", ,,", {} },
    { "", {} },
  } do
    it(("reads '%s'%s"):format(case[1], case[3] and " (" .. case[3] .. ")" or ""), function()
      assert.same(case[2], (read(case[1])))
    end)
  end

  it("reads what Surrogate-Control says to us, not to other devices", function()
    assert.same({ max_age = 60 }, (read_field("Surrogate-Control", "max-age=60;weir")))
    assert.same({ no_store = true },
      (read_field("Surrogate-Control", "max-age=60;other, no-store, private;other")))
  end)

  it("reads several lines as one list", function()
    assert.same({ max_age = 5, no_store = true }, (read("max-age=5", "no-store")))
    assert.same({ max_age = 0 }, (read("max-age=5", "max-age=6")))
  end)

  it("takes max-stale without a value for any staleness", function()
    local _, cc = read "max-stale"
    assert.is_true(cc.max_stale == 0x7fffffffffffffffLL)
  end)

  it("tells which fields are named, and restricts all when there are too many lists", function()
    local _, cc = read('private="A, b", no-cache=c')
    for name, want in pairs { a = true, B = true, c = true, d = false, ["a, b"] = false } do
      assert.equal(want, c.wr_cache_control_names(cc, fields.slice(name)), name)
    end
    assert.is_true(read('private=a, private=b, private=c, private=d, private=e').is_private)
  end)

  it("survives any bytes, and never reads past them", function()
    local seed = os.time()
    math.randomseed(seed)
    for _ = 1, 20000 do
      local text = fields.noise(math.random, math.random(0, 60))
      local ok, got = pcall(read, text)
      assert(ok, ("seed %d: %q: %s"):format(seed, text, tostring(got)))
      assert((got.max_age or 0) >= 0 and (got.max_age or 0) <= 2 ^ 31, text)
      fields.clear()
    end
  end)
end)
