local c, ffi = require "spec.support.c" ("resilience/flight.h", "base/rng.h")

local function new(max)
  local f = ffi.new("struct wr_flight")
  c.wr_flight_init(f, max or 100)
  return f
end

local function member(key)
  return ffi.new("struct wr_flight_member", { key = key })
end

local function role(m) return ffi.string(c.wr_flight_role_name(m.role)) end

local function join(f, m, waits)
  assert.equal(c.wr_flight_join(f, m, waits ~= false), m.role)
  return role(m)
end

--- What is told until there is nothing more: { "number role", … }.
local function told(f, members)
  local list = {}
  while true do
    local m = c.wr_flight_told(f)
    if m == nil then return list end
    for i, mine in pairs(members) do
      if mine == m then list[#list + 1] = i .. " " .. role(m) end
    end
  end
end

describe("flight", function()
  it("lets the first of a key lead and the others follow", function()
    local f, m = new(), { member(7), member(7), member(7), member(8) }
    assert.equal("leader", join(f, m[1]))
    assert.equal("follower", join(f, m[2]))
    assert.equal("nobody", join(f, m[3], false), "it may not wait")
    assert.equal("leader", join(f, m[4]), "another key")
    assert.same({}, told(f, m))
    assert.is_true(c.wr_flight_is_led(f, 7))
    assert.is_false(c.wr_flight_is_led(f, 9))
    assert.same({ 2, 1 }, { f.leaders, f.followers })
  end)

  it("lets all followers of the key look when the leader is done", function()
    local f, m = new(), {}
    for i = 1, 4 do m[i] = member(7) end
    m[5], m[6] = member(7 + c.WR_FLIGHT_BUCKETS), member(7 + c.WR_FLIGHT_BUCKETS)
    for i = 1, 6 do join(f, m[i]) end
    c.wr_flight_leave(f, m[1], true)
    assert.same({ "2 looking", "3 looking", "4 looking" }, told(f, m))
    assert.same({ 1, 1 }, { f.leaders, f.followers }, "the other key of the bucket goes on")
    assert.equal("leader", join(f, m[2]))
  end)

  it("makes the oldest follower the successor of a leader that gives up", function()
    local f, m = new(), { member(7), member(7), member(7) }
    for i = 1, 3 do join(f, m[i]) end
    c.wr_flight_leave(f, m[1], false)
    assert.same({ "2 leader" }, told(f, m))
    assert.equal("follower", role(m[3]))
    c.wr_flight_leave(f, m[2], false)
    assert.same({ "3 leader" }, told(f, m))
    c.wr_flight_leave(f, m[3], false)
    assert.same({}, told(f, m))
    assert.same({ 0, 0 }, { f.leaders, f.followers })
    assert.equal(2, tonumber(f.counters.succeeded))
  end)

  it("bounds its followers", function()
    local f, m = new(2), {}
    for i = 1, 4 do m[i] = member(7) end
    for i = 1, 3 do join(f, m[i]) end
    assert.equal("nobody", join(f, m[4]))
    assert.equal(1, tonumber(f.counters.full))
    c.wr_flight_leave(f, m[2], false)
    assert.equal("follower", join(f, m[4]), "a place is free again")
    assert.equal(1, tonumber(f.counters.left))
  end)

  it("leaves alone who is not in it", function()
    local f, m = new(), member(1)
    c.wr_flight_leave(f, m, true)
    join(f, m)
    c.wr_flight_leave(f, m, true)
    c.wr_flight_leave(f, m, true)
    assert.same({ 0, 0 }, { f.leaders, f.followers })
  end)

  it("is whole after a repair of any bytes, and finds leaders for the orphans", function()
    local f, m = new(), {}
    for i = 1, 6 do m[i] = member(i <= 3 and 7 or 8) end
    for i = 1, 6 do join(f, m[i]) end
    ffi.fill(ffi.cast("char *", f) + ffi.offsetof("struct wr_flight", "max"),
      ffi.sizeof(f) - ffi.offsetof("struct wr_flight", "max"), 0xa5)
    c.wr_flight_repair(f)
    assert.is_true(f.max <= c.WR_FLIGHT_WAITERS_MAX)
    c.wr_flight_restore(f, m[1], true)
    c.wr_flight_restore(f, m[2], false)
    for i = 5, 6 do c.wr_flight_restore(f, m[i], false) end
    c.wr_flight_leave(f, m[6], false)
    assert.same({ "5 leader" }, told(f, m))
    assert.same({ 2, 1 }, { f.leaders, f.followers })
    c.wr_flight_leave(f, m[1], true)
    assert.same({ "2 looking" }, told(f, m))
  end)

  it("never has two leaders of a key, and never a follower without one", function()
    local seed = os.time()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, seed)
    local function below(n) return tonumber(c.wr_rng_below(rng, n)) end
    local f, members = new(20), {}
    for i = 1, 60 do members[i] = member(0) end
    local function restart()
      c.wr_flight_repair(f)
      for _, m in ipairs(members) do
        if m.role == c.WR_FLIGHT_LEADER or m.role == c.WR_FLIGHT_FOLLOWER then
          c.wr_flight_restore(f, m, m.role == c.WR_FLIGHT_LEADER)
        end
      end
    end
    for step = 1, 12000 do
      local m = members[1 + below(#members)]
      local linked = m.role == c.WR_FLIGHT_LEADER or m.role == c.WR_FLIGHT_FOLLOWER
      if below(500) == 0 then
        restart()
      elseif linked then
        c.wr_flight_leave(f, m, below(2) == 0)
      else
        m.key = below(5) * 13
        join(f, m, below(10) > 0)
      end
      told(f, {})
      local leaders, followers = {}, 0
      for _, one in ipairs(members) do
        if one.role == c.WR_FLIGHT_LEADER then
          local key = tonumber(one.key)
          assert.is_nil(leaders[key], ("step %d, seed %d"):format(step, seed))
          leaders[key] = true
        end
      end
      for _, one in ipairs(members) do
        if one.role == c.WR_FLIGHT_FOLLOWER then
          followers = followers + 1
          assert.is_true(leaders[tonumber(one.key)], ("step %d, seed %d"):format(step, seed))
        end
      end
      assert.equal(followers, f.followers)
      assert.is_true(followers <= 20)
    end
  end)
end)
