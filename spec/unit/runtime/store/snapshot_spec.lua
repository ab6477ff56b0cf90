-- Named state as JSON and back: what survives, what time does to it, and what no file can do.
jit.off(true, true)
local c, ffi = require "spec.support.c" ("store/snapshot.h", "store/state_file.h",
  "script/guard.h", "upstream/roster.h", "resilience/throttle.h", "resilience/budget.h",
  "resilience/shedder.h", "resilience/lease.h")
local json = require "cjson"
local open = require "spec.support.arena"

local MS, SECOND = 1000000ULL, 1000000000ULL
local HOUR = 3600 * SECOND
local NOW, WALL = 100 * HOUR, 1700000000ULL * SECOND

local function str(text) return ffi.new("struct wr_str", { text, #text }) end

--- A registry of its own, with one primitive of each kind that has something to keep.
local function world(seed)
  local self = { arena = assert(open(c, ffi, { seed = seed or 7 })) }
  self.registry, self.err = ffi.new "struct wr_registry", ffi.new "struct wr_error"
  c.wr_guard_registry(self.registry, self.arena)
  function self.declare(kind, name, type_of, options, now)
    local config = ffi.new("struct wr_" .. type_of .. "_config")
    if type_of == "roster" then
      c.wr_outlier_config_init(config.outlier)
      config.capacity, config.rise, config.fall = 4, 2, 3
    elseif type_of ~= "flag" and type_of ~= "lease" then
      c["wr_" .. type_of .. "_config_init"](config)
    end
    for key, value in pairs(options or {}) do config[key] = value end
    local entry = c.wr_registry_declare(self.registry, kind, str(name), config, now or NOW,
      self.err)
    assert(entry ~= nil, ffi.string(self.err.message))
    return ffi.cast("struct wr_" .. type_of .. " *", entry.state)
  end
  function self.all(now, options)
    options = options or {}
    self.timed = self.declare(c.WR_KIND_BREAKER, "timed", "breaker",
      { window_size = 10 * SECOND, open_jitter = 0, ramp_ns = 0, min_calls = 100 }, now)
    self.counted = self.declare(c.WR_KIND_BREAKER, "counted", "breaker",
      { window_kind = c.WR_WINDOW_COUNT, window_size = 8, min_calls = 8 }, now)
    self.flag = self.declare(c.WR_KIND_FLAG, "new ui", "flag", { share = 0 }, now)
    self.health = self.declare(c.WR_KIND_HEALTH, "db", "health", { target = 5 }, now)
    self.budget = self.declare(c.WR_KIND_BUDGET, "retries", "budget", nil, now)
    self.throttle = self.declare(c.WR_KIND_THROTTLE, "client", "throttle", nil, now)
    self.shedder = self.declare(c.WR_KIND_SHEDDER, "front", "shedder", nil, now)
    self.limiter = self.declare(c.WR_KIND_LIMITER, "tenants", "limiter",
      { limit = options.limit or 10, burst = 10, max_keys = 64 }, now)
    self.sliding = self.declare(c.WR_KIND_LIMITER, "window", "limiter",
      { limit = 10, period_ns = 80 * SECOND, algorithm = c.WR_LIMITER_SLIDING }, now)
    self.roster = self.declare(c.WR_KIND_UPSTREAM, "recs", "roster", nil, now)
    return self
  end
  function self.write(now, wall)
    local out = ffi.new "struct wr_buf"
    c.wr_buf_init(out, 1024 * 1024)
    assert(c.wr_snapshot_write(self.registry, now or NOW, wall or WALL, out))
    local text = ffi.string(out.data + out.start, out.len)
    c.wr_buf_fini(out)
    return text
  end
  --- Reads a text; the number of primitives that got something, or nil and why.
  function self.read(text, now, wall)
    local s = c.wr_snapshot_parse(str(text), self.err)
    if s == nil then return nil, ffi.string(self.err.message) end
    local count = c.wr_snapshot_restore(s, self.registry, now or NOW, wall or WALL)
    c.wr_snapshot_free(s)
    return tonumber(count)
  end
  function self.close() c.wr_arena_fini(self.arena) end
  return self
end

local ticket, refusal = ffi.new "struct wr_ticket", ffi.new "struct wr_breaker_refusal"
local after = ffi.new "uint64_t[1]"

local function call(b, now, outcome)
  if not c.wr_breaker_try(b, now, ticket, refusal) then return false end
  c.wr_breaker_settle(b, ticket, outcome, now)
  return true
end

local function state(b, now)
  return ffi.string(c.wr_breaker_state_name(c.wr_breaker_state(b, now)))
end

local function members(roster, ...)
  local urls = { ... }
  local wanted = ffi.new("struct wr_roster_wanted[?]", #urls)
  for i, url in ipairs(urls) do wanted[i - 1] = { str(url), str "", 1, false } end
  c.wr_roster_set(roster, wanted, #urls, 0, NOW)
end

--- Everything has something to tell.
local function lived(seed)
  local w = world(seed).all(NOW - HOUR)
  for _ = 1, 3 do call(w.timed, NOW - 5 * SECOND, c.WR_OUTCOME_FAILURE) end
  for i = 1, 6 do
    call(w.counted, NOW, i % 2 == 0 and c.WR_OUTCOME_FAILURE or c.WR_OUTCOME_SUCCESS)
  end
  c.wr_flag_set(w.flag, 250000, c.WR_FLAG_ACTOR_OPERATOR, str "a \"quarter\"", NOW)
  local result = ffi.new("struct wr_health_result", { NOW, 1000, c.WR_ERROR_CONNECT })
  c.wr_health_report(w.health, c.wr_health_claim(w.health, NOW, after), result, "refused")
  for _ = 1, 10 do c.wr_budget_deposit(w.budget, NOW) end
  for _ = 1, 5 do c.wr_budget_withdraw(w.budget, NOW) end
  for _ = 1, 7 do c.wr_throttle_settle(w.throttle, c.WR_OUTCOME_FAILURE, NOW) end
  for _ = 1, 4 do c.wr_limiter_try(w.limiter, 0, 1, NOW, after) end
  for _ = 1, 6 do c.wr_limiter_try(w.limiter, 12345678901234567ULL, 1, NOW, after) end
  for _ = 1, 9 do c.wr_limiter_try(w.sliding, 0, 1, NOW - 20 * SECOND, after) end
  members(w.roster, "http://a", "http://b", "http://c")
  local seen = ffi.new("struct wr_roster_seen", { { failures = 5 } })
  c.wr_roster_report(w.roster, 1, c.wr_roster_id(str "http://b"), seen, NOW)
  return w
end

local function left(limiter, key, now)
  local look = ffi.new "struct wr_limiter_look"
  c.wr_limiter_look(limiter, key, now, look)
  return look.left
end

describe("a snapshot", function()
  local w, text
  setup(function()
    w = lived()
    text = w.write()
  end)
  teardown(function() w.close() end)

  it("is JSON with names and words", function()
    local doc = json.decode(text)
    assert.equal(1, doc.weir_state)
    local by_name = {}
    for _, p in ipairs(doc.primitives) do by_name[p.name] = p end
    assert.equal(10, #doc.primitives)
    assert.equal("closed", by_name.timed.state)
    assert.equal(".f.f.f", by_name.counted.calls)
    assert.equal("down", by_name.db.verdict)
    assert.equal("operator", by_name["new ui"].actor)
    assert.equal("http://b", by_name.recs.members[2].url)
    assert.is_true(by_name.recs.members[2].ejected)
  end)

  it("gives every state back, on another clock", function()
    local to = world().all(3 * HOUR)
    assert.equal(10, to.read(text, 3 * HOUR))
    local now = 3 * HOUR
    local sum = c.wr_window_sum(to.timed.window, now)
    assert.same({ 3, 3 }, { sum.total, sum.failure })
    assert.equal(3, tonumber(to.timed.counters.failed))
    assert.equal(".f.f.f", json.decode(to.write(now)).primitives[2].calls)
    assert.equal(250000, c.wr_flag_share(to.flag))
    assert.equal("a \"quarter\"", ffi.string(to.flag.why))
    assert.equal(c.WR_HEALTH_DOWN, c.wr_health_verdict(to.health))
    assert.equal("refused", ffi.string(to.health.output))
    assert.is_true(now == to.health.since_ns)
    assert.equal(0, c.wr_budget_remaining(to.budget, now))
    assert.equal(c.wr_throttle_probability(w.throttle, NOW),
      c.wr_throttle_probability(to.throttle, now))
    assert.equal(6, left(to.limiter, 0, now))
    assert.equal(4, left(to.limiter, 12345678901234567ULL, now))
    assert.equal(10, left(to.limiter, 99, now))
    assert.equal(1, left(to.sliding, 0, now))
    local o = c.wr_roster_outlier(to.roster)
    assert.same({ 3, 1, 2 }, { o.count, o.ejected, o.usable })
    assert.is_true(o.rows[1].is_ejected)
    to.close()
  end)

  it("says the same when it is written again", function()
    local to = world().all()
    to.read(text)
    local first, again = json.decode(text), json.decode(to.write())
    for i, primitive in ipairs(first.primitives) do
      for key, value in pairs(primitive) do
        -- Windows are moved on to the present when they are looked at.
        local moves = key == "window" or (key == "all" and primitive.name == "window")
        if not moves then assert.same({ key, value }, { key, again.primitives[i][key] }) end
      end
    end
    to.close()
  end)

  it("tells nobody of a change that was none", function()
    local to = world().all()
    to.read(text)
    local event = ffi.new "struct wr_breaker_event"
    assert.is_false(c.wr_breaker_take_event(to.timed, event))
    assert.is_false(c.wr_flag_take_event(to.flag, ffi.new "struct wr_flag_event"))
    assert.is_false(c.wr_health_take_event(to.health, ffi.new "struct wr_health_event"))
    to.close()
  end)

  it("counts the time that has passed meanwhile", function()
    local to = world().all(NOW)
    to.read(text, NOW, WALL + 6 * SECOND)
    assert.equal(0, c.wr_window_sum(to.timed.window, NOW).total) -- 11 s old by now
    assert.equal(10, left(to.limiter, 0, NOW))
    assert.equal(1, left(to.sliding, 0, NOW))
    assert.is_true(NOW - 6 * SECOND == to.health.since_ns)
    to.close()
  end)

  it("takes a clock that was set back for no time at all", function()
    local to = world().all()
    to.read(text, NOW, WALL - HOUR)
    assert.equal(6, left(to.limiter, 0, NOW))
    to.close()
  end)

  it("reads what was long before the machine was started", function()
    local to = world().all(SECOND)
    assert.equal(10, to.read(text, SECOND))
    assert.is_true(to.health.since_ns <= SECOND)
    assert.equal(3, tonumber(to.timed.counters.failed))
    to.close()
  end)

  it("keeps a debt in calls when the rate is another", function()
    local to = world().all(NOW, { limit = 1 })
    to.read(text)
    assert.equal(6, left(to.limiter, 0, NOW))
    to.close()
  end)

  it("knows when a singleton's run is due, and gives it no token twice", function()
    local function lease(of, now)
      return of.declare(c.WR_KIND_LEASE, "prune", "lease",
        { interval_ns = 600 * SECOND, ttl_ns = 30 * SECOND }, now)
    end
    local from = world()
    local l, first = lease(from), ffi.new "struct wr_lease_waiter"
    c.wr_lease_wait(l, first)
    assert.equal(first, c.wr_lease_grant(l, NOW))
    assert.is_true(c.wr_lease_begin(l, first, NOW))
    local said = from.write(NOW + 100 * SECOND, WALL)
    local to = world()
    local again = lease(to, NOW)
    to.read(said, NOW, WALL + 50 * SECOND)
    assert.is_true(NOW + 450 * SECOND == again.due_ns)
    assert.equal(0, tonumber(again.token))
    local next_one = ffi.new "struct wr_lease_waiter"
    c.wr_lease_wait(again, next_one)
    assert.is_true(c.wr_lease_grant(again, NOW + 449 * SECOND) == nil)
    assert.equal(next_one, c.wr_lease_grant(again, NOW + 450 * SECOND))
    assert.equal(2, tonumber(next_one.token))
    from.close()
    to.close()
  end)

  it("judges a health check anew when it asks another target", function()
    local to = world()
    local health = to.declare(c.WR_KIND_HEALTH, "db", "health", { target = 6 })
    to.read(text)
    assert.equal(c.WR_HEALTH_DOWN, c.wr_health_verdict(health))
    assert.equal(1, health.is_fresh)
    to.close()
  end)

  it("leaves out what is not declared, and leaves alone what it does not know", function()
    local to = world()
    local b = to.declare(c.WR_KIND_BREAKER, "other", "breaker")
    assert.equal(0, to.read(text))
    assert.equal("closed", state(b, NOW))
    to.close()
  end)

  it("brings the seed that keys of limiters follow from", function()
    local s = c.wr_snapshot_parse(str(text), w.err)
    assert.is_true(c.wr_snapshot_seed(s) == w.arena.header.seed)
    c.wr_snapshot_free(s)
  end)
end)

describe("an open breaker", function()
  local w, b, text
  before_each(function()
    w = world()
    b = w.declare(c.WR_KIND_BREAKER, "b", "breaker",
      { consecutive = 1, open_ns = 60 * SECOND, open_jitter = 0, ramp_ns = 0 })
    call(b, NOW - 10 * SECOND, c.WR_OUTCOME_FAILURE)
    text = w.write()
  end)
  after_each(function() w.close() end)

  local function later(seconds)
    local to = world()
    local b2 = to.declare(c.WR_KIND_BREAKER, "b", "breaker",
      { consecutive = 1, open_ns = 60 * SECOND, open_jitter = 0, ramp_ns = 0 })
    to.read(text, NOW, WALL + seconds * SECOND)
    local stats = ffi.new "struct wr_breaker_stats"
    c.wr_breaker_stats(b2, NOW, stats)
    to.close()
    return ffi.string(c.wr_breaker_state_name(stats.state)),
      tonumber(stats.retry_after_ns / MS) / 1000
  end

  for _, case in ipairs { { 0, "open", 50 }, { 20, "open", 30 }, { 51, "half_open", 0 },
    { 100000, "closed", 0 } } do
    it(("is %s after %d s"):format(case[2], case[1]), function()
      assert.same({ case[2], case[3] }, { later(case[1]) })
    end)
  end

  it("stays forced by an operator", function()
    c.wr_breaker_force(b, c.WR_BREAKER_MODE_FORCED_OPEN, NOW)
    text = w.write()
    assert.equal("forced_open", (later(100000)))
  end)
end)

-- What nobody wrote

describe("a file that is no snapshot", function()
  local w
  setup(function() w = lived() end)
  teardown(function() w.close() end)

  for _, case in ipairs {
    { "", "line 1, column 0: " },
    { "{\n  nonsense", "line 2, column 10: " },
    { "[]", 'there is no "weir_state"' },
    { '{"weir_state":"1"}', 'there is no "weir_state"' },
    { '{"weir_state":2}', "weir_state is 2; this weir reads 1" },
    { '{"weir_state":1,"weir_state":1}', "duplicate object key" },
    { '{"weir_state":1,"x":NaN}', "line 1, column" },
    { '{"weir_state":1,"x":1e999}', "real number overflow" },
    { '{"weir_state":1,"x":99999999999999999999}', "too big integer" },
    { '{"weir_state":1} {}', "end of file expected" },
    { '{"weir_state":1,"x":"\\u0000"}', "line 1, column" },
    { ("["):rep(100000), "line 1, column" },
  } do
    it("says why: " .. case[2] .. " (" .. case[1]:sub(1, 20) .. ")", function()
      local count, why = w.read(case[1])
      assert.is_nil(count)
      assert.is_truthy(why:find(case[2], 1, true), why)
    end)
  end

  for _, text in ipairs { '{"weir_state":1}', '{"weir_state":1,"primitives":7}',
    '{"weir_state":1,"primitives":[1,null,{},{"kind":1,"name":2},{"kind":"cache","name":"x"}]}' } do
    it("has nothing for anybody: " .. text, function() assert.equal(0, w.read(text)) end)
  end
end)

describe("whatever is in a snapshot", function()
  -- Uses everything, as workers and the master would.
  local function use(w, now)
    for i = 0, 20 do
      local at = now + i * SECOND
      for _, b in ipairs { w.timed, w.counted } do
        call(b, at, i % 3 == 0 and c.WR_OUTCOME_FAILURE or c.WR_OUTCOME_SUCCESS)
        assert.is_true(b.state < c.WR_BREAKER_STATES)
      end
      c.wr_flag_evaluate(w.flag, 5, false)
      assert.is_true(c.wr_flag_share(w.flag) <= 1000000)
      local claim = c.wr_health_claim(w.health, at, after)
      local result = ffi.new("struct wr_health_result", { at, 1, 0 })
      if claim ~= 0 then c.wr_health_report(w.health, claim, result, nil) end
      c.wr_budget_deposit(w.budget, at)
      c.wr_budget_withdraw(w.budget, at)
      c.wr_throttle_try(w.throttle, at)
      c.wr_throttle_settle(w.throttle, c.WR_OUTCOME_SUCCESS, at)
      assert.is_true(c.wr_shedder_limit(w.shedder) >= 1)
      for key = 0, 3 do
        c.wr_limiter_try(w.limiter, key, 1, at, after)
        c.wr_limiter_try(w.sliding, key, 1, at, after)
      end
      c.wr_roster_advance(w.roster, at)
      local o = c.wr_roster_outlier(w.roster)
      assert.is_true(o.count <= 4 and o.ejected <= o.count and o.usable <= o.count)
    end
    -- After an hour's rest nobody owes anything for ever: a call passes.
    local result = c.wr_limiter_try(w.limiter, 0, 1, now + 3 * HOUR, after)
    assert.is_true(result == c.WR_LIMITER_ADMITTED)
    w.write(now)
  end

  local HOSTILE = { "0", "-1", "1", "true", "null", '""', '"open"', '"never"', "[]", "{}",
    "9223372036854775807", "-9223372036854775808", "1e308", "-1e308", "0.5", "4294967295",
    "4294967296", '"' .. ("x"):rep(5000) .. '"', "[1,2,3]", '[{"key":"ffffffffffffffff"}]' }

  local text
  setup(function()
    local w = lived()
    text = w.write()
    w.close()
  end)

  local function try(hostile, now)
    local to = world(tonumber(now % 1000ULL) + 1).all(now)
    local count = to.read(hostile, now, WALL)
    use(to, now)
    to.close()
    return count
  end

  it("is harmless with any value in any place", function()
    local tried, at = 0, 1
    while true do
      local from, to = text:find('":%s*[^%[{,}%]]+', at)
      if not from then break end
      local colon = text:find(":", from, true)
      for _, value in ipairs(HOSTILE) do
        if (tried + #value) % 3 == 0 or value:sub(1, 1) == "-" then
          try(text:sub(1, colon) .. value .. text:sub(to + 1), NOW)
        end
        tried = tried + 1
      end
      at = to + 1
    end
    assert.is_true(tried > 1000, tried)
  end)

  it("is harmless with any number in any row of numbers", function()
    for _, value in ipairs { "-5", "4294967295", "9223372036854775807", '"a"', "1.5" } do
      try((text:gsub("%[[%d,]+%]", function(row) return (row:gsub("%d+", value)) end)), NOW)
    end
  end)

  it("is harmless cut off anywhere", function()
    for len = 0, #text - 1, 7 do assert.is_nil(try(text:sub(1, len), NOW)) end
  end)

  it("is harmless with bytes changed at random", function()
    math.randomseed(4711)
    for _ = 1, 300 do
      local bytes = { text:byte(1, -1) }
      for _ = 1, math.random(4) do bytes[math.random(#bytes)] = math.random(0, 255) end
      local parts = {}
      for i, byte in ipairs(bytes) do parts[i] = string.char(byte) end
      try(table.concat(parts), math.random(2) == 1 and NOW or 5 * SECOND)
    end
  end)
end)

describe("a state file", function()
  local path, err, out
  before_each(function()
    path, err, out = os.tmpname(), ffi.new "struct wr_error", ffi.new "struct wr_buf"
    c.wr_buf_init(out, 100)
  end)
  after_each(function()
    c.wr_buf_fini(out)
    os.remove(path)
  end)

  local function read()
    local ok = c.wr_state_file_read(path, out, err)
    return ok, ok and ffi.string(out.data + out.start, out.len) or ffi.string(err.message)
  end

  it("is read as it was written, by its owner only, and nothing lies beside it", function()
    assert.is_true(c.wr_state_file_write(path, str "hello", err))
    assert.same({ true, "hello" }, { read() })
    local pipe = io.popen("stat -c %a " .. path)
    assert.equal("600\n", pipe:read "*a")
    pipe:close()
    assert.is_nil(io.open(path .. ".new"))
  end)

  it("is empty when there is none", function()
    os.remove(path)
    assert.is_true(c.wr_state_file_read(path, out, err))
    assert.equal(0, tonumber(out.len))
  end)

  it("is not read when it is too large", function()
    assert.is_true(c.wr_state_file_write(path, str(("x"):rep(101)), err))
    assert.same({ false, "it is too large" }, { read() })
  end)

  it("is what it was when it cannot be written", function()
    assert.is_false(c.wr_state_file_write("/nowhere/at/all", str "x", err))
    assert.equal("cannot write beside it: No such file or directory", ffi.string(err.message))
    os.execute("mkdir " .. path .. ".new")
    assert.is_true(c.wr_state_file_write(path .. ".other", str "old", err))
    assert.is_false(c.wr_state_file_write(path, str "x", err))
    os.execute("rmdir " .. path .. ".new; rm " .. path .. ".other")
  end)

  it("is not written through a link that lies beside it", function()
    os.execute("ln -s /tmp/weir-elsewhere " .. path .. ".new")
    assert.is_false(c.wr_state_file_write(path, str "x", err))
    os.execute("rm " .. path .. ".new")
  end)
end)
