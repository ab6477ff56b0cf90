local c, ffi = require "spec.support.c" ("upstream/roster.h")

local S = 1e9
local T0 = 1000 * S
local NOBODY = 0xFFFFFFFF

local function config(options)
  local k = ffi.new "struct wr_roster_config"
  c.wr_outlier_config_init(k.outlier)
  k.outlier.jitter = 0
  k.capacity, k.rise, k.fall, k.panic = 8, 2, 3, 0
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

-- Memory of exactly its size, so that a sanitizer sees a byte too many.
local function memory(k)
  return ffi.new("char[?]", tonumber(c.wr_roster_bytes(k)))
end

local function new(options)
  local k = config(options)
  local bytes = memory(k)
  local r = ffi.cast("struct wr_roster *", bytes)
  c.wr_roster_init(r, k, 7)
  return r, bytes
end

local alive = {}

local function str(text)
  alive[#alive + 1] = text
  return ffi.new("struct wr_str", { text, #text })
end

-- Members as "name", or { "name", weight =, zone =, far = }.
local function set(r, names, now, declared)
  local wanted = ffi.new("struct wr_roster_wanted[?]", math.max(#names, 1))
  for i, one in ipairs(names) do
    if type(one) == "string" then one = { one } end
    local w = wanted[i - 1]
    w.url, w.zone = str("http://" .. one[1]), str(one.zone or "")
    w.weight, w.is_far = one.weight or 1, one.far or false
  end
  c.wr_roster_set(r, wanted, #names, declared or 0, now or T0)
end

-- Row -> name of the members.
local function members(r)
  local list = {}
  for i = 0, r.capacity - 1 do
    if c.wr_roster_outlier(r).rows[i].is_used then
      list[i] = ffi.string(c.wr_roster_member(r, i).url):gsub("^http://", "")
    end
  end
  return list
end

local function row_of(r, name)
  for i, other in pairs(members(r)) do
    if other == name then return i end
  end
end

local function member(r, name) return c.wr_roster_member(r, row_of(r, name)) end
local function id(name) return c.wr_roster_id(str("http://" .. name)) end

local function check(r, name, error, now)
  c.wr_roster_check(r, row_of(r, name), id(name), error, now or T0)
end

local function fail(r, name, now, times)
  local seen = ffi.new "struct wr_roster_seen"
  seen.batch.failures = times or 5
  c.wr_roster_report(r, row_of(r, name), id(name), seen, now)
end

-- What nobody was told of yet.
local function events(r)
  local list, e = {}, ffi.new "struct wr_roster_event"
  while c.wr_roster_take_event(r, e) do
    local row = { news = tonumber(e.news), is_on = e.is_on, usable = e.usable, count = e.count,
      added = e.added, removed = e.removed, url = ffi.string(e.url), error = e.error,
      is_ejected = e.outlier.is_ejected }
    list[#list + 1] = row
  end
  return list
end

local function version(r) return tonumber(c.wr_roster_version(r)) end

describe("a roster", function()
  after_each(function() alive = {} end)

  it("begins with nobody, and its version says when to look", function()
    local r = new()
    assert.same({}, members(r))
    local before = version(r)
    set(r, { "a", "b" })
    assert.is_true(version(r) > before)
    assert.equal(version(r), tonumber(r.list_version))
    assert.same({ [0] = "a", "b" }, members(r))
    local e = events(r)
    assert.same({ 1, tonumber(c.WR_ROSTER_CHANGED), 2, 0 },
      { #e, e[1].news, e[1].added, e[1].removed })
  end)

  it("does not change when the same members are wanted again", function()
    local r = new()
    set(r, { "a", { "b", weight = 3, zone = "z" } })
    local before = version(r)
    set(r, { { "b", weight = 3, zone = "z" }, "a", "a" }, T0 + S)
    assert.equal(before, version(r))
    assert.equal(T0, tonumber(r.last_set_ns))
  end)

  it("keeps the rows of those who stay, and gives away those of who leave", function()
    local r = new()
    set(r, { "a", "b", "c" })
    fail(r, "a", T0 + S)
    assert.is_true(c.wr_roster_outlier(r).rows[0].is_ejected)
    set(r, { "d", "c", "a" }, T0 + 2 * S)
    assert.same({ [0] = "a", "d", "c" }, members(r))
    assert.is_true(c.wr_roster_outlier(r).rows[0].is_ejected)
    assert.is_false(c.wr_roster_outlier(r).rows[1].is_ejected)
  end)

  it("begins slowly with new ones, unless all are new", function()
    local r = new()
    set(r, { "a", "b" })
    assert.equal(0, tonumber(member(r, "a").ramp_ns))
    set(r, { "a", "c" }, T0 + S)
    assert.equal(0, tonumber(member(r, "a").ramp_ns))
    assert.equal(T0 + S, tonumber(member(r, "c").ramp_ns))
    set(r, { "x", "y" }, T0 + 2 * S)
    assert.equal(0, tonumber(member(r, "x").ramp_ns))
  end)

  it("takes another weight, zone or distance without anybody leaving", function()
    local r = new()
    set(r, { "a" })
    for _, one in ipairs { { "a", weight = 2 }, { "a", weight = 2, zone = "z" },
      { "a", weight = 2, zone = "z", far = true } } do
      local before = version(r)
      set(r, { one })
      assert.is_true(version(r) > before)
      local m = member(r, "a")
      assert.same({ 2, one.zone or "", one.far or false },
        { m.weight, ffi.string(m.zone), m.is_far })
    end
  end)

  it("leaves out what has no room, and says so", function()
    local r = new { capacity = 2 }
    set(r, { "a", "b", "c" })
    assert.same({ [0] = "a", "b" }, members(r))
    assert.is_true(r.was_full)
    set(r, { "a", "b" })
    assert.is_false(r.was_full)
    set(r, { ("x"):rep(400), { "y", zone = ("z"):rep(64) }, "c" })
    assert.same({ [0] = "c" }, members(r))
    assert.is_true(r.was_full)
  end)

  it("remembers from which declaration its members stem", function()
    local r = new()
    set(r, { "a" }, T0, 5)
    assert.equal(5, tonumber(r.seeded))
    set(r, { "b" })
    assert.equal(5, tonumber(r.seeded))
  end)

  it("ignores reports about who was there before", function()
    local r = new()
    set(r, { "a", "b" })
    local gone = id "a"
    set(r, { "c", "b" }, T0 + S)
    assert.equal(0, row_of(r, "c"))
    local seen = ffi.new "struct wr_roster_seen"
    seen.batch.failures = 100
    c.wr_roster_report(r, 0, gone, seen, T0 + 2 * S)
    c.wr_roster_report(r, 7, gone, seen, T0 + 2 * S)
    c.wr_roster_report(r, 99, gone, seen, T0 + 2 * S)
    for _ = 1, 9 do c.wr_roster_check(r, 0, gone, 1, T0 + 2 * S) end
    assert.is_false(c.wr_roster_outlier(r).rows[0].is_ejected)
    assert.is_false(c.wr_roster_outlier(r).rows[0].is_unhealthy)
  end)

  it("knows of each how long calls took of late, and what went wrong last", function()
    local r = new()
    set(r, { "a", "b" })
    local function tell(successes, latency, failures, last, now)
      local seen = ffi.new("struct wr_roster_seen", { { successes, failures },
        latency * successes, last or {} })
      c.wr_roster_report(r, row_of(r, "a"), id "a", seen, now)
    end
    local function latency() return c.wr_standing_latency(member(r, "a").standing) end
    assert.is_true(latency() ~= latency()) -- nothing is known
    tell(3, 10, 0, nil, T0)
    tell(1, 50, 0, nil, T0)
    assert.equal(20, latency())
    tell(0, 0, 1, { status = 503 }, T0 + S)
    assert.equal(20, latency()) -- failures are no lesson about time
    local standing = member(r, "a").standing
    assert.same({ 503, T0 + S, false }, { standing.last.status, tonumber(standing.failed_ns),
      standing.last.is_check })
    tell(4, 100, 0, nil, T0 + 1000 * S)
    assert.is_near(100, latency(), 1e-6) -- what is long ago weighs nothing
    check(r, "a", c.WR_ERROR_CONNECT, T0 + 2000 * S)
    assert.same({ 0, tonumber(c.WR_ERROR_CONNECT), true },
      { standing.last.status, standing.last.error, standing.last.is_check })
    assert.equal(0, tonumber(member(r, "b").standing.failed_ns))
    standing.sum_ns, standing.last.error = 0 / 0, 255
    c.wr_roster_repair(r, config(), T0 + 2000 * S)
    assert.is_true(latency() ~= latency())
    assert.equal(0, tonumber(standing.failed_ns))
  end)

  describe("whose members are checked", function()
    local r, bytes -- luacheck: ignore bytes
    before_each(function()
      r, bytes = new { interval_ns = 10 * S }
      set(r, { "a", "b", "c" })
      events(r)
    end)

    it("gives each turn once, and says when the next is due", function()
      local after = ffi.new "uint64_t[1]"
      local seen = {}
      for _ = 1, 3 do seen[c.wr_roster_claim_check(r, T0 + 10 * S, after)] = true end
      assert.same({ [0] = true, true, true }, seen)
      assert.equal(NOBODY, c.wr_roster_claim_check(r, T0 + 10 * S, after))
      assert.equal(10 * S, tonumber(after[0]))
      assert.equal(0, c.wr_roster_claim_check(r, T0 + 20 * S, after))
    end)

    it("checks at once when all are new, and new ones in their turn", function()
      local after = ffi.new "uint64_t[1]"
      for i = 0, 2 do assert.equal(i, c.wr_roster_claim_check(r, 1, after)) end
      set(r, { "a", "d", "e" }, T0)
      for _, name in ipairs { "d", "e" } do
        local due = tonumber(member(r, name).due_ns)
        assert.is_true(due >= T0 and due < T0 + 10 * S, due)
      end
      assert.not_equal(member(r, "d").due_ns, member(r, "e").due_ns)
    end)

    it("changes a verdict after so many results in a row", function()
      for _ = 1, 2 do check(r, "a", 1) end
      check(r, "a", 0)
      for _ = 1, 2 do check(r, "a", 1) end
      assert.same({}, events(r))
      check(r, "a", 9)
      local e = events(r)
      assert.same({ 1, "http://a", false, 9, 2, 3 },
        { #e, e[1].url, e[1].is_on, e[1].error, e[1].usable, e[1].count })
      check(r, "a", 0)
      assert.same({}, events(r))
      check(r, "a", 0, T0 + S)
      assert.is_true(events(r)[1].is_on)
      assert.equal(T0 + S, tonumber(member(r, "a").ramp_ns))
    end)

    it("absolves who was ejected and does well again", function()
      fail(r, "a", T0 + S)
      assert.is_true(events(r)[1].is_ejected)
      check(r, "a", 0, T0 + 2 * S)
      assert.is_true(c.wr_roster_outlier(r).rows[0].is_ejected)
      check(r, "a", 0, T0 + 3 * S)
      assert.is_false(c.wr_roster_outlier(r).rows[0].is_ejected)
      assert.equal(T0 + 3 * S, tonumber(member(r, "a").ramp_ns))
    end)

    it("forgets verdicts when nobody checks any more", function()
      for _ = 1, 3 do check(r, "a", 1) end
      c.wr_roster_reconfigure(r, config { interval_ns = 0 }, T0 + S)
      assert.is_false(c.wr_roster_outlier(r).rows[0].is_unhealthy)
    end)

    it("checks at once when the interval has become shorter than the wait", function()
      c.wr_roster_reconfigure(r, config { interval_ns = 1 }, T0)
      local after = ffi.new "uint64_t[1]"
      assert.not_equal(NOBODY, c.wr_roster_claim_check(r, T0, after))
    end)
  end)

  it("panics below its share of usable members, and says when that is over", function()
    local r = new { panic = 0.5, interval_ns = S }
    set(r, { "a", "b", "c" })
    events(r)
    for _, name in ipairs { "a", "b" } do
      for _ = 1, 3 do check(r, name, 1) end
    end
    assert.is_true(r.is_panic)
    assert.equal(1, tonumber(r.panics))
    for _ = 1, 2 do check(r, "a", 0) end
    assert.is_false(r.is_panic)
    local panics = {}
    for _, e in ipairs(events(r)) do
      if e.news == tonumber(c.WR_ROSTER_PANIC) then panics[#panics + 1] = e.is_on end
    end
    assert.same({ true, false }, panics)
  end)

  it("lets an ejected one back when its time is over, slowly", function()
    local r = new()
    set(r, { "a", "b", "c" })
    fail(r, "a", T0 + S)
    events(r)
    local back = T0 + 31 * S
    assert.is_true(tonumber(c.wr_roster_next(r)) <= back)
    c.wr_roster_advance(r, back - 1)
    assert.is_true(c.wr_roster_outlier(r).rows[0].is_ejected)
    c.wr_roster_advance(r, back)
    assert.is_false(c.wr_roster_outlier(r).rows[0].is_ejected)
    assert.equal(back, tonumber(member(r, "a").ramp_ns))
  end)

  it("forgets the oldest news when nobody asks", function()
    local r = new()
    for i = 1, 20 do set(r, { "m" .. i }, T0 + i) end
    local e = events(r)
    assert.equal(tonumber(c.WR_ROSTER_EVENTS), #e)
  end)

  it("gives the turn to find out who is in it to one at a time", function()
    local r = new()
    assert.is_true(c.wr_roster_claim(r, T0, T0 + S))
    assert.is_false(c.wr_roster_claim(r, T0 + S - 1, T0 + 2 * S))
    assert.is_true(c.wr_roster_claim(r, T0 + S, T0 + 2 * S))
  end)

  it("obeys an operator about a member until it is told otherwise", function()
    local r = new()
    set(r, { { "a", weight = 2 }, "b" })
    local at = c.wr_roster_find(r, str "http://a")
    assert.equal(row_of(r, "a"), at)
    assert.equal(NOBODY, c.wr_roster_find(r, str "http://x"))
    local order, first = ffi.new "struct wr_roster_order", c.wr_roster_version(r)
    order.weight, order.is_drained, order.by = 7, true, "uid 0, pid 1"
    c.wr_roster_obey(r, at, order, T0)
    assert.equal(T0, tonumber(member(r, "a").ordered.at_ns))
    assert.equal("uid 0, pid 1", ffi.string(member(r, "a").ordered.by))
    assert.is_true(c.wr_roster_version(r) > first)
    -- A declaration that changes is what holds once the order is lifted.
    set(r, { { "a", weight = 3 }, "b" }, T0 + S)
    local m = member(r, "a")
    assert.same({ 7, 3, true }, { m.weight, m.declared_weight, m.is_drained })
    c.wr_roster_repair(r, r.config, T0 + S)
    assert.same({ 7, 3, true }, { m.weight, m.declared_weight, m.is_drained })
    c.wr_roster_obey(r, at, ffi.new "struct wr_roster_order", T0)
    assert.same({ 3, 0, false }, { m.weight, m.declared_weight, m.is_drained })
  end)

  it("moves with its members and what is known of them", function()
    local r = new()
    set(r, { "a", "b", "c" })
    fail(r, "b", T0 + S)
    for _, capacity in ipairs { 16, 2 } do
      local k = config { capacity = capacity }
      local bytes = memory(k)
      local to = ffi.cast("struct wr_roster *", bytes)
      c.wr_roster_move(to, r, k)
      c.wr_roster_reconfigure(to, k, T0 + S)
      assert.equal(capacity, to.capacity)
      assert.same(capacity == 2 and { [0] = "a", "b" } or { [0] = "a", "b", "c" }, members(to))
      assert.is_true(c.wr_roster_outlier(to).rows[1].is_ejected)
    end
  end)

  local function moved(r, capacity)
    local k = config { capacity = capacity }
    local to = ffi.cast("struct wr_roster *", memory(k))
    alive[#alive + 1] = k
    c.wr_roster_move(to, r, k)
    c.wr_roster_reconfigure(to, k, T0 + S)
    return to
  end

  it("becomes smaller without forgetting who is out", function()
    local r = new()
    set(r, { "a", "b", "c", "d", "e" })
    fail(r, "e", T0 + S)
    fail(r, "b", T0 + S)
    local bytes = memory(config { capacity = 3 })
    local to = ffi.cast("struct wr_roster *", bytes)
    c.wr_roster_move(to, r, config { capacity = 3 })
    assert.same({ [0] = "a", "b", "e" }, members(to))
    assert.is_false(c.wr_roster_outlier(to).rows[0].is_ejected)
    assert.is_true(c.wr_roster_outlier(to).rows[1].is_ejected)
    assert.is_true(c.wr_roster_outlier(to).rows[2].is_ejected)
    local seen = {}
    local e = ffi.new "struct wr_roster_event"
    while c.wr_roster_take_event(to, e) do seen[#seen + 1] = ffi.string(e.url) end
    assert.same({ "http://e", "http://b" }, { seen[1], seen[2] })
  end)

  it("tells nothing of those for whom a smaller one has no room", function()
    local r = new { outlier = (function()
      local k = ffi.new "struct wr_outlier_config"
      c.wr_outlier_config_init(k)
      k.max_share = 1
      return k
    end)() }
    set(r, { "a", "b", "c", "d" })
    for _, name in ipairs { "a", "b", "c" } do fail(r, name, T0 + S) end
    local to = moved(r, 2)
    assert.same({ [0] = "a", "b" }, members(to))
    local e = ffi.new "struct wr_roster_event"
    local urls = {}
    while c.wr_roster_take_event(to, e) do
      if e.news == c.WR_ROSTER_OUTLIER then urls[#urls + 1] = ffi.string(e.url) end
    end
    assert.same({ "http://a", "http://b" }, urls)
  end)

  it("is valid after a repair, whatever its bytes were", function()
    local seed = os.time()
    math.randomseed(seed)
    local k = config { interval_ns = S }
    for _ = 1, 300 do
      local r, bytes = new { interval_ns = S }
      set(r, { "a", "b", { "c", zone = "z" } })
      local size = tonumber(c.wr_roster_bytes(k))
      for _ = 1, math.random(200) do bytes[math.random(size) - 1] = math.random(0, 255) - 128 end
      c.wr_roster_repair(r, k, T0)
      local o = c.wr_roster_outlier(r)
      local count = 0
      for i, name in pairs(members(r)) do
        count = count + 1
        local m = c.wr_roster_member(r, i)
        assert(m.id == id(name), "seed " .. seed)
        assert(m.weight >= 1 and tonumber(m.due_ns) <= T0 + S, "seed " .. seed)
      end
      assert(count == o.count and r.event_count == 0, "seed " .. seed)
      -- It goes on.
      set(r, { "a", "d" }, T0 + S)
      local names = {}
      for _, name in pairs(members(r)) do names[#names + 1] = name end
      table.sort(names)
      assert.same({ "a", "d" }, names, "seed " .. seed)
      local after = ffi.new "uint64_t[1]"
      c.wr_roster_claim_check(r, T0 + 5 * S, after)
      fail(r, "a", T0 + 2 * S)
      c.wr_roster_advance(r, T0 + 1000 * S)
      events(r)
    end
  end)

  it("tells urls apart", function()
    assert.equal(id "a", id "a")
    assert.not_equal(id "a", id "b")
  end)
end)
