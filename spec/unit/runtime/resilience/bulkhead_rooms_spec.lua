-- A bulkhead with keys: a room for each.
local c, ffi = require "spec.support.c" ("resilience/bulkhead.h", "base/rng.h")

local MS = 1e6
local NEVER = 0xffffffffffffffffULL
local keep = {} -- the memory behind the pointers

local function config(options)
  local k = ffi.new("struct wr_bulkhead_config")
  c.wr_bulkhead_config_init(k)
  k.max_keys = 64
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function allocate(k)
  local memory = ffi.new("uint64_t[?]", tonumber(c.wr_bulkhead_bytes(k)) / 8)
  keep[#keep + 1] = memory
  return ffi.cast("struct wr_bulkhead *", memory)
end

local function new(options)
  local k = config(options)
  assert.is_true(c.wr_bulkhead_config_check(k) == nil)
  local b = allocate(k)
  c.wr_bulkhead_init(b, k, 0)
  return b
end

local function name(result)
  return ffi.string(c.wr_bulkhead_result_name(result))
end

--- Tries with a key: the result, and the waiter, which says whose slot it is.
local function try(b, key, now, deadline)
  local w = ffi.new("struct wr_bulkhead_waiter")
  w.until_ns = deadline or 0
  keep[#keep + 1] = w
  return name(c.wr_bulkhead_try_key(b, now or 0, key, w)), w
end

local function grants(b, now, waiters)
  local list = {}
  while true do
    local w = c.wr_bulkhead_grant(b, now)
    if w == nil then return list end
    for i, mine in pairs(waiters) do
      if mine == w then list[#list + 1] = i .. " " .. name(w.result) end
    end
  end
end

describe("bulkhead with keys", function()
  it("gives each key its own slots and queue", function()
    local b = new { max = 2, queue = 1 }
    local held = {}
    for key = 1, 3 do
      for i = 1, 2 do
        local result, w = try(b, key)
        assert.equal("admitted", result)
        held[key * 10 + i] = w
      end
      assert.equal("full", (try(b, key)))
    end
    assert.equal("admitted", (try(b, 0)), "calls without a key have a room of their own")
    assert.same({ 7, 0, 3 }, { b.in_use, b.queued, b.keys })
    local first, w1 = try(b, 1, 0, NEVER)
    local second, w2 = try(b, 2, 0, NEVER)
    assert.same({ "queued", "queued" }, { first, second })
    assert.equal("queue_full", (try(b, 1, 0, NEVER)))
    c.wr_bulkhead_release_of(b, held[31])
    assert.same({}, grants(b, 0, { w1, w2 }), "another key's slot")
    c.wr_bulkhead_release_of(b, held[22])
    assert.same({ "2 admitted" }, grants(b, 0, { w1, w2 }))
    c.wr_bulkhead_release_of(b, held[11])
    assert.same({ "1 admitted" }, grants(b, 0, { w1, w2 }))
  end)

  it("resizes all rooms at once, and throws nobody out", function()
    local b = new { max = 1 }
    local waiters = {}
    for key = 1, 5 do
      try(b, key)
      local _
      _, waiters[key] = try(b, key, 0, NEVER)
    end
    c.wr_bulkhead_reconfigure(b, config { max = 2 })
    local told = grants(b, 0, waiters)
    table.sort(told)
    assert.same({ "1 admitted", "2 admitted", "3 admitted", "4 admitted", "5 admitted" }, told)
    c.wr_bulkhead_reconfigure(b, config { max = 1 })
    assert.equal(10, b.in_use)
    c.wr_bulkhead_release_of(b, waiters[3])
    assert.equal("full", (try(b, 3)))
  end)

  it("keeps those inside when the number of rooms changes", function()
    local b = new { max = 1 }
    local held, waiters, _ = {}, {}, nil
    for key = 1, 3 do
      _, held[key] = try(b, key)
      _, waiters[key] = try(b, key, 0, NEVER)
    end
    local k = config { max = 1, max_keys = 1000 }
    local moved = allocate(k)
    c.wr_bulkhead_move(moved, b, k, 1)
    assert.same({ 3, 3 }, { moved.in_use, moved.queued })
    local result, mine = try(moved, 1)
    assert.equal("admitted", result, "rooms of keys begin empty")
    for i = 1, 3 do c.wr_bulkhead_release_of(moved, held[i]) end
    assert.same({ "1 admitted" }, grants(moved, 1, waiters))
    c.wr_bulkhead_leave(moved, waiters[2], 1)
    c.wr_bulkhead_release_of(moved, waiters[1])
    assert.same({ "3 admitted" }, grants(moved, 1, waiters))
    c.wr_bulkhead_release_of(moved, waiters[3])
    c.wr_bulkhead_release_of(moved, mine)
    assert.same({ 0, 0, 0 }, { moved.in_use, moved.queued, moved.keys })
  end)

  it("shares rooms when there are more keys inside than it was made for", function()
    local b = new { max = 2, max_keys = 16 }
    local held = {}
    for key = 1, 200 do
      local result, w = try(b, ffi.cast("uint64_t", key) * 0x9e3779b97f4a7c15ULL)
      if result == "admitted" then held[#held + 1] = w end
    end
    assert.equal(18, #held, "sixteen keys with a room, and two in the shared one")
    for _, w in ipairs(held) do c.wr_bulkhead_release_of(b, w) end
    assert.same({ 0, 0 }, { b.in_use, b.keys })
    assert.equal("admitted", (try(b, 99)))
  end)

  it("keeps its invariants whatever happens to it, torn and repaired too", function()
    for seed = 1, 150 do
      local r = ffi.new("struct wr_rng")
      c.wr_rng_init(r, seed)
      local function below(bound) return tonumber(c.wr_rng_below(r, bound)) end
      local function check(ok, what)
        if not ok then error(("seed %d: %s"):format(seed, what), 0) end
      end
      local k = config { max = 1 + below(3), queue = below(4), wait_ns = below(4) * 20 * MS,
        order = below(2), max_keys = 16 + below(40) }
      local b = allocate(k)
      c.wr_bulkhead_init(b, k, 0)
      local now, held, waiting = 0, {}, {}
      local function grant()
        while true do
          local w = c.wr_bulkhead_grant(b, now)
          if w == nil then break end
          for i, mine in ipairs(waiting) do
            if mine == w then
              table.remove(waiting, i)
              if w.result == c.WR_BULKHEAD_ADMITTED then held[#held + 1] = mine end
              break
            end
          end
        end
      end
      for _ = 1, 400 do
        local dice = below(20)
        if dice < 9 then
          local key = below(40)
          local result, w = try(b, key == 0 and 0 or key * 7919, now, below(3) > 0 and NEVER or nil)
          if result == "admitted" then held[#held + 1] = w end
          if result == "queued" then waiting[#waiting + 1] = w end
        elseif dice < 15 and #held > 0 then
          c.wr_bulkhead_release_of(b, table.remove(held, 1 + below(#held)))
        elseif dice < 17 and #waiting > 0 then
          c.wr_bulkhead_leave(b, table.remove(waiting, 1 + below(#waiting)), now)
        elseif dice < 18 then
          now = now + below(20 * MS)
        elseif dice < 19 then
          local bytes = ffi.cast("uint8_t *", b.all)
          for _ = 1, below(40) do bytes[below(ffi.sizeof(b.all))] = below(256) end
          c.wr_bulkhead_repair(b, 0, now)
          for _, w in ipairs(held) do c.wr_bulkhead_recount(b, w) end
          for _, w in ipairs(waiting) do c.wr_bulkhead_requeue(b, w) end
        end
        grant()
        check(b.in_use == #held, ("in use %d, held %d"):format(b.in_use, #held))
        check(b.queued == #waiting, ("queued %d, waiting %d"):format(b.queued, #waiting))
        for _, w in ipairs(waiting) do
          local room = c.wr_bulkhead_room_of(b, w)
          check(room.in_use >= k.max, "a free slot and a waiter")
        end
        for _, w in ipairs(held) do
          check(c.wr_bulkhead_room_of(b, w).in_use <= k.max, "above the maximum")
        end
      end
      while #waiting > 0 do c.wr_bulkhead_leave(b, table.remove(waiting), now) end
      while #held > 0 do c.wr_bulkhead_release_of(b, table.remove(held)) end
      check(b.in_use == 0 and b.queued == 0 and b.keys == 0, "somebody is still inside")
    end
  end)
end)
