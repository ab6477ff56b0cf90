local c, ffi = require "spec.support.c" ("upstream/balance.h", "base/alloc.h", "base/rng.h")

local S, MS = 1e9, 1e6
local T0 = 1000 * S

local rules = { least_request = c.WR_BALANCE_LEAST_REQUEST, peak_ewma = c.WR_BALANCE_PEAK_EWMA,
  round_robin = c.WR_BALANCE_ROUND_ROBIN, ring_hash = c.WR_BALANCE_RING_HASH,
  maglev = c.WR_BALANCE_MAGLEV, random = c.WR_BALANCE_RANDOM }

-- An upstream of endpoints of these weights: { b = balance, e = its endpoints }.
local function new(rule, weights, options)
  local config = ffi.new "struct wr_balance_config"
  config.rule = rules[rule]
  for key, value in pairs(options or {}) do
    if key ~= "far" then config[key] = value end
  end
  local u = { b = ffi.new "struct wr_balance", e = {}, rng = ffi.new "struct wr_rng" }
  c.wr_rng_init(u.rng, 42)
  c.wr_balance_init(u.b, config)
  local places = ffi.cast("struct wr_balance_place *",
    c.wr_alloc(#weights * ffi.sizeof "struct wr_balance_place"))
  for i, weight in ipairs(weights) do
    u.e[i] = ffi.new "struct wr_endpoint"
    places[i - 1].endpoint = u.e[i]
    places[i - 1].id = 0x9e3779b97f4a7c15ULL * i
    places[i - 1].weight = weight
    places[i - 1].is_far = options and options.far and options.far[i] or false
  end
  c.wr_balance_set(u.b, places, #weights)
  return u
end

local function out(u, ...)
  for i = 0, #u.e - 1 do u.b.places[i].is_out = false end
  for _, i in ipairs { ... } do u.b.places[i - 1].is_out = true end
  c.wr_balance_refresh(u.b)
end

local function drain(u, i, is_drained)
  u.b.places[i - 1].is_drained = is_drained
  c.wr_balance_refresh(u.b)
end

--- The number of the chosen one, or nil.
local function pick(u, options)
  local ask = ffi.new "struct wr_balance_ask"
  ask.rng = u.rng
  ask.now_ns = options and options.now or T0
  ask.tried = options and options.tried
  if options and options.key then
    ask.has_hash, ask.hash = true, options.key * 0x9e3779b97f4a7c15ULL
  end
  local p = c.wr_balance_pick(u.b, ask)
  return p ~= nil and tonumber(p - u.b.places) + 1 or nil
end

local function shares(u, n, options)
  local got = {}
  for i = 1, #u.e do got[i] = 0 end
  for _ = 1, n do
    local at = pick(u, options)
    got[at] = got[at] + 1 / n
  end
  return got
end

local function near(expected, got, off)
  for i, share in ipairs(expected) do
    assert.is_true(math.abs(share - got[i]) <= off,
      ("%d: expected %.3f, got %.3f"):format(i, share, got[i]))
  end
end

local names = {}
for name in pairs(rules) do names[#names + 1] = name end
table.sort(names)

describe("balance", function()
  for _, rule in ipairs(names) do
    describe(rule, function()
      local key = (rule == "maglev" or rule == "ring_hash") and 7 or nil

      it("never chooses who is out, and chooses nobody when all are", function()
        local u = new(rule, { 1, 2, 3 })
        out(u, 1, 3)
        for _ = 1, 100 do assert.equal(2, pick(u, { key = key })) end
        out(u, 1, 2, 3)
        assert.is_nil(pick(u, { key = key }))
        u.b.is_panic = true
        c.wr_balance_refresh(u.b)
        assert.is_not_nil(pick(u, { key = key }))
        c.wr_balance_fini(u.b)
      end)

      it("gives a drained one nothing, in a panic either", function()
        local u = new(rule, { 1, 2, 3 })
        drain(u, 1, true)
        for _ = 1, 100 do assert.not_equal(1, pick(u, { key = key })) end
        out(u, 2, 3)
        assert.is_nil(pick(u, { key = key }))
        u.b.is_panic = true
        c.wr_balance_refresh(u.b)
        for _ = 1, 100 do assert.not_equal(1, pick(u, { key = key })) end
        drain(u, 1, false)
        local seen = {}
        for i = 1, 300 do seen[pick(u, { key = key and i })] = true end
        assert.is_true(seen[1])
        c.wr_balance_fini(u.b)
      end)

      it("takes another one than those that were tried, while there is one", function()
        local u = new(rule, { 1, 1, 1, 1 })
        local tried, seen = ffi.new "struct wr_tried", {}
        for _ = 1, 4 do seen[pick(u, { key = key, tried = tried })] = true end
        assert.same({ true, true, true, true }, seen)
        assert.is_not_nil(pick(u, { key = key, tried = tried }))
        out(u, 1, 2, 3)
        assert.equal(4, pick(u, { key = key, tried = tried }), "one that is out is no alternative")
        c.wr_balance_fini(u.b)
      end)

      it("forgets the first of more than 16 that were tried", function()
        local weights = {}
        for i = 1, 18 do weights[i] = 1 end
        local u = new(rule, weights)
        local tried, order = ffi.new "struct wr_tried", {}
        for i = 1, 18 do
          order[i] = pick(u, { key = key, tried = tried })
          for j = math.max(1, i - 16), i - 1 do assert.not_equal(order[j], order[i]) end
        end
        c.wr_balance_fini(u.b)
      end)

      it("avoids who just refused a connect, while there is another", function()
        local u = new(rule, { 1, 1 })
        u.e[1].failed_at_ns = T0 - 100 * MS
        for _ = 1, 50 do assert.equal(2, pick(u, { key = key })) end
        out(u, 2)
        assert.equal(1, pick(u, { key = key }))
        out(u)
        local seen = {}
        for i = 1, 50 do seen[pick(u, { key = key and i, now = T0 + 150 * MS })] = true end
        assert.same({ true, true }, seen)
        c.wr_balance_fini(u.b)
      end)

      it("never passes a connection limit", function()
        local u = new(rule, { 1, 1 }, { pool_max = 2 })
        u.e[1].in_flight = 2
        for _ = 1, 50 do assert.equal(2, pick(u, { key = key })) end
        u.e[2].in_flight = 2
        assert.is_nil(pick(u, { key = key }))
        c.wr_balance_fini(u.b)
      end)

      it("chooses among 4096, also when one is left", function()
        local weights = {}
        for i = 1, 4096 do weights[i] = i % 5 + 1 end
        local u = new(rule, weights)
        assert.is_not_nil(pick(u, { key = key }))
        for i = 0, 4095 do u.b.places[i].is_out = i ~= 1234 end
        c.wr_balance_refresh(u.b)
        assert.equal(1235, pick(u, { key = key }))
        c.wr_balance_fini(u.b)
      end)

      it("stays near until fewer than 1/1.4 of the near are usable, then spills", function()
        local u = new(rule, { 1, 1, 1, 1, 1, 1, 1 }, { far = { [6] = true, [7] = true } })
        local function far(n)
          local count = 0
          for i = 1, n do
            if pick(u, { key = key and i }) >= 6 then count = count + 1 end
          end
          return count / n
        end
        assert.equal(0, far(500))
        out(u, 1)
        assert.equal(0, far(500), "4 of 5 are 112 %")
        out(u, 1, 2)
        assert.near(1 - 1.4 * 3 / 5, far(5000), 0.03)
        out(u, 1, 2, 3, 4, 5)
        assert.equal(1, far(500))
        out(u, 6, 7)
        assert.equal(0, far(500))
        c.wr_balance_fini(u.b)
      end)

      it("goes far for who was not tried yet", function()
        local u = new(rule, { 1, 1 }, { far = { [2] = true } })
        local tried = ffi.new "struct wr_tried"
        assert.equal(1, pick(u, { key = key, tried = tried }))
        assert.equal(2, pick(u, { key = key, tried = tried }))
        c.wr_balance_fini(u.b)
      end)
    end)
  end

  for _, rule in ipairs { "least_request", "peak_ewma", "random", "round_robin" } do
    it(rule .. " gives idle endpoints the shares of their weights", function()
      for _, weights in ipairs { { 1, 3 }, { 5, 1, 1 }, { 1, 1, 1, 1 } } do
        local u, sum, expected = new(rule, weights), 0, {}
        for _, w in ipairs(weights) do sum = sum + w end
        for i, w in ipairs(weights) do expected[i] = w / sum end
        near(expected, shares(u, 20000), 0.02)
        c.wr_balance_fini(u.b)
      end
    end)

    it(rule .. " ramps one that begins slowly, from a tenth, by the time", function()
      local u = new(rule, { 1, 1, 1 }, { slow_start_ns = 10 * S })
      u.b.places[0].ramp_ns = T0
      for _, case in ipairs { { 0, 0.1 }, { 0.5, 0.1 }, { 2, 0.2 }, { 5, 0.5 }, { 9, 0.9 },
        { 10, 1 }, { 100, 1 } } do
        local got = shares(u, 20000, { now = T0 + case[1] * S })
        local share = case[2] / (2 + case[2])
        near({ share, (1 - share) / 2, (1 - share) / 2 }, got, 0.02)
      end
      c.wr_balance_fini(u.b)
    end)
  end

  it("round_robin is smooth: nginx's sequence for 5, 1, 1", function()
    local u, got = new("round_robin", { 5, 1, 1 }), {}
    for i = 1, 14 do got[i] = pick(u) end
    assert.same({ 1, 1, 2, 1, 3, 1, 1, 1, 1, 2, 1, 3, 1, 1 }, got)
    c.wr_balance_fini(u.b)
  end)

  it("round_robin goes on in turn for the others while one is out", function()
    local u, got = new("round_robin", { 1, 1, 1 }), {}
    out(u, 2)
    for i = 1, 6 do got[i] = pick(u) end
    assert.same({ 1, 3, 1, 3, 1, 3 }, got)
    c.wr_balance_fini(u.b)
  end)

  it("least_request takes of two the one with less to do for its weight", function()
    local u = new("least_request", { 1, 1 })
    u.e[1].in_flight = 1
    for _ = 1, 50 do assert.equal(2, pick(u)) end
    c.wr_balance_fini(u.b)
    u = new("least_request", { 4, 1 })
    u.e[1].in_flight, u.e[2].in_flight = 3, 1
    for _ = 1, 50 do assert.equal(1, pick(u)) end
    c.wr_balance_fini(u.b)
  end)

  it("least_request draws two of many: the busiest of n never, others evenly", function()
    local u = new("least_request", { 1, 1, 1, 1, 1 })
    u.e[1].in_flight = 9
    near({ 0, 0.25, 0.25, 0.25, 0.25 }, shares(u, 20000), 0.02)
    -- Ranks by load: the k-th best of n wins with (n - k) * 2 / (n (n - 1)).
    for i = 1, 5 do u.e[i].in_flight = i end
    near({ 0.4, 0.3, 0.2, 0.1, 0 }, shares(u, 20000), 0.02)
    c.wr_balance_fini(u.b)
  end)

  it("peak_ewma is not attracted by fast failures", function()
    local u = new("peak_ewma", { 1, 1, 1 })
    for i = 1, 3 do c.wr_ewma_add(u.e[i].latency, T0, 10 * MS, false) end
    c.wr_ewma_add(u.e[1].latency, T0, 1 * MS, true)
    assert.near(0, shares(u, 1000)[1], 0.001)
    c.wr_balance_fini(u.b)
  end)

  it("peak_ewma takes the one that answers sooner, counting what waits there", function()
    local u = new("peak_ewma", { 1, 1 })
    c.wr_ewma_add(u.e[1].latency, T0, 10 * MS, false)
    c.wr_ewma_add(u.e[2].latency, T0, 25 * MS, false)
    for _ = 1, 20 do assert.equal(1, pick(u)) end
    u.e[1].in_flight = 2
    for _ = 1, 20 do assert.equal(2, pick(u)) end
    c.wr_balance_fini(u.b)
  end)

  for _, rule in ipairs { "ring_hash", "maglev" } do
    it(rule .. " keeps a key at one endpoint, and moves only the keys of who is out", function()
      local u, owner, moved = new(rule, { 1, 1, 1, 1, 1 }), {}, {}
      for key = 1, 2000 do
        owner[key] = pick(u, { key = key })
        assert.equal(owner[key], pick(u, { key = key }))
      end
      out(u, 3)
      for key = 1, 2000 do
        local now = pick(u, { key = key })
        if owner[key] == 3 then
          moved[now] = (moved[now] or 0) + 1
        else
          assert.equal(owner[key], now)
        end
      end
      for _, i in ipairs { 1, 2, 4, 5 } do
        assert.is_true(moved[i] > 30, "its keys are spread over all others")
      end
      out(u)
      for key = 1, 2000 do assert.equal(owner[key], pick(u, { key = key })) end
      c.wr_balance_fini(u.b)
    end)

    it(rule .. " draws for calls without a key", function()
      local u = new(rule, { 1, 3 })
      near({ 0.25, 0.75 }, shares(u, 20000), 0.02)
      c.wr_balance_fini(u.b)
    end)

    it(rule .. " passes on past an endpoint that has its bound of the load", function()
      local u = new(rule, { 1, 1, 1, 1 }, { bound = 1.25 })
      local owner = pick(u, { key = 1 })
      -- ceil(1.25 / 4 * (15 + 1)) = 5
      u.b.in_flight = 15
      u.e[owner].in_flight = 4
      assert.equal(owner, pick(u, { key = 1 }))
      u.e[owner].in_flight = 5
      local other = pick(u, { key = 1 })
      assert.not_equal(owner, other)
      assert.equal(other, pick(u, { key = 1 }), "the next one is the same each time")
      for i = 1, 4 do u.e[i].in_flight = 50 end
      assert.equal(owner, pick(u, { key = 1 }), "all above: the owner")
      c.wr_balance_fini(u.b)
    end)

    it(rule .. " never lets one have more than its bound, whatever the keys", function()
      local u = new(rule, { 1, 1, 2 }, { bound = 1.5 })
      for i = 1, 300 do
        local at = pick(u, { key = i % 2 })
        u.e[at].in_flight = u.e[at].in_flight + 1
        u.b.in_flight = i
        local weight = u.b.places[at - 1].weight
        assert.is_true(u.e[at].in_flight <= math.ceil(1.5 * weight / 4 * i))
      end
      c.wr_balance_fini(u.b)
    end)
  end

  it("is a matter of tens of nanoseconds for a few endpoints", function()
    -- Not measured against a clock: what is drawn and looked at does not grow with the upstream.
    local few, many = new("least_request", { 1, 1, 1 }), {}
    for i = 1, 4096 do many[i] = 1 end
    many = new("least_request", many)
    local function draws(u)
      local before = ffi.new("struct wr_rng", u.rng)
      pick(u)
      local n = 0
      while ffi.string(before, ffi.sizeof(before)) ~= ffi.string(u.rng, ffi.sizeof(u.rng)) do
        c.wr_rng_next(before)
        n = n + 1
      end
      return n
    end
    for _ = 1, 100 do
      assert.is_true(draws(few) <= 8)
      assert.is_true(draws(many) <= 8)
    end
    c.wr_balance_fini(few.b)
    c.wr_balance_fini(many.b)
  end)
end)
