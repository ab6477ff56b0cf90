local c, ffi = require "spec.support.c" ("arena/clients.h")
local open_arena = require "spec.support.arena"

describe("clients", function()
  local arena
  before_each(function() arena = open_arena(c, ffi) end)
  after_each(function() c.wr_arena_fini(arena) end)

  local function key(text)
    return c.wr_clients_key(arena, ffi.new("struct wr_str", text, #text))
  end

  local function count(text) return tonumber(c.wr_clients_count(arena, key(text))) end

  it("have so many connections in all workers together, and no more", function()
    local cells = {}
    for i = 1, 6 do
      cells[i] = c.wr_clients_enter(arena, i % 3, key "a", 6)
      assert.is_true(cells[i] >= 0)
    end
    assert.equal(6, count "a")
    for slot = 0, 2 do
      assert.equal(c.WR_CLIENTS_REFUSED, c.wr_clients_enter(arena, slot, key "a", 6))
    end
    assert.is_true(c.wr_clients_enter(arena, 0, key "b", 6) >= 0, "another one is not concerned")
    c.wr_clients_leave(arena, 1, cells[1])
    assert.equal(5, count "a")
    assert.is_true(c.wr_clients_enter(arena, 0, key "a", 6) >= 0)
  end)

  it("leave nothing behind", function()
    for round = 1, 3 do
      local cells = {}
      for i = 1, 1000 do cells[i] = c.wr_clients_enter(arena, 0, key("c" .. i), 1) end
      for i = 1, 1000 do c.wr_clients_leave(arena, 0, cells[i]) end
      for i = 1, 1000 do assert.equal(0, count("c" .. i), "round " .. round) end
    end
  end)

  it("are forgotten with their worker, and no others are", function()
    for _ = 1, 4 do c.wr_clients_enter(arena, 0, key "a", 9) end
    c.wr_clients_enter(arena, 1, key "a", 9)
    c.wr_clients_wipe(arena, 0)
    assert.equal(1, count "a")
  end)

  it("are let in uncounted when others have their bucket", function()
    local uncounted, counted = 0, {}
    for i = 1, 40000 do
      local cell = c.wr_clients_enter(arena, 0, key("d" .. i), 1)
      assert.are_not.equal(c.WR_CLIENTS_REFUSED, cell)
      if cell < 0 then uncounted = uncounted + 1 else counted[#counted + 1] = cell end
    end
    assert.is_true(uncounted > 0)
    c.wr_clients_leave(arena, 0, c.WR_CLIENTS_UNCOUNTED)
    for _, cell in ipairs(counted) do c.wr_clients_leave(arena, 0, cell) end
    assert.is_true(c.wr_clients_enter(arena, 0, key "d40000", 1) >= 0)
  end)

  it("are all counted as long as a worker is within its limit of connections", function()
    local uncounted = 0
    for i = 1, 10000 do
      if c.wr_clients_enter(arena, 0, key("e" .. i), 1) < 0 then uncounted = uncounted + 1 end
    end
    assert.is_true(uncounted < 10, uncounted .. " of 10000")
  end)
end)
