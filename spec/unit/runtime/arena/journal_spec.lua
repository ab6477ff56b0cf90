local c, ffi = require "spec.support.c" ("arena/journal.h", "base/rng.h")
local new_arena = require "spec.support.arena"

describe("journal", function()
  local arena, cursor, out

  before_each(function()
    arena = assert(new_arena(c, ffi))
    cursor, out = ffi.new "struct wr_journal_cursor", ffi.new "struct wr_buf"
    cursor.slot = 1
    c.wr_buf_init(out, c.WR_JOURNAL_RECORD_MAX)
  end)

  after_each(function()
    c.wr_buf_fini(out)
    c.wr_arena_fini(arena)
  end)

  local function str(text) return ffi.new("struct wr_str", text, #text) end
  local function write(text, ring) c.wr_journal_write(arena, 1, ring or 0, str(text)) end
  local function next_one(ring)
    cursor.ring = ring or c.WR_JOURNAL_EVENTS
    if not c.wr_journal_next(arena, cursor, out) then return nil end
    return ffi.string(out.data + out.start, out.len)
  end

  it("gives records back in order, each once", function()
    assert.is_nil(next_one())
    write "one"
    write "two"
    assert.equal("one", next_one())
    assert.equal("two", next_one())
    assert.is_nil(next_one())
    write "three"
    assert.equal("three", next_one())
    assert.equal(0, tonumber(cursor.missed))
  end)

  it("keeps rings and slots apart", function()
    write("a chain", c.WR_JOURNAL_CHAINS)
    c.wr_journal_write(arena, 2, c.WR_JOURNAL_EVENTS, str "another slot's")
    assert.is_nil(next_one(c.WR_JOURNAL_EVENTS))
    assert.equal("a chain", next_one(c.WR_JOURNAL_CHAINS))
  end)

  it("forgets the oldest, and says how many a slow reader missed", function()
    local count = 5000 -- of 8 to 200 bytes: several times round
    local function text(i) return i .. (":"):rep(i % 190) end
    for i = 1, count do write(text(i)) end
    local first = tonumber((next_one():match "^%d+"))
    assert.is_true(first > 1)
    assert.equal(first - 1, tonumber(cursor.missed))
    for i = first + 1, count do assert.equal(text(i), next_one()) end
    assert.is_nil(next_one())
    assert.equal(first - 1, tonumber(cursor.missed))
  end)

  it("takes the longest record, counts a longer one as missed", function()
    local longest = ("x"):rep(c.WR_JOURNAL_RECORD_MAX)
    for _ = 1, 5 do
      write(longest)
      assert.equal(longest, next_one())
    end
    write(longest .. "x")
    write "after"
    assert.equal("after", next_one())
    assert.equal(1, tonumber(cursor.missed))
  end)

  it("skips to what comes from now on, without calling that missed", function()
    for i = 1, 10 do write("old " .. i) end
    c.wr_journal_skip(arena, cursor)
    assert.is_nil(next_one())
    write "new"
    assert.equal("new", next_one())
    assert.equal(0, tonumber(cursor.missed))
  end)

  it("goes on from a record that a reader names, and counts as missed what is gone", function()
    for i = 0, 9 do write("record " .. i) end
    c.wr_journal_seek(arena, cursor, 7)
    assert.equal("record 7", next_one())
    assert.equal(8, tonumber(cursor.next))
    c.wr_journal_seek(arena, cursor, 10)
    assert.is_nil(next_one())
    write "record 10"
    assert.equal("record 10", next_one())
    assert.equal(0, tonumber(cursor.missed))
    for i = 11, 5000 do write("record " .. i .. (":"):rep(100)) end
    c.wr_journal_seek(arena, cursor, 20)
    local first = tonumber(next_one():match "%d+")
    assert.is_true(first > 20)
    assert.equal(first - 20, tonumber(cursor.missed))
    c.wr_journal_seek(arena, cursor, 1e9) -- nobody has given that number yet
    assert.is_nil(next_one())
  end)

  it("is followed until the latest wish ends", function()
    assert.is_false(c.wr_journal_is_followed(arena, 1))
    c.wr_journal_follow(arena, 50)
    c.wr_journal_follow(arena, 20)
    assert.is_true(c.wr_journal_is_followed(arena, 49))
    assert.is_false(c.wr_journal_is_followed(arena, 50))
  end)
end)
