-- What a fetch decides, with a core that is a table: times, draws and claims are what a case says.
package.path = "lua/?.lua;" .. package.path
local core = {}
package.preload["weir.core"] = function() return core end
local loaded = package.loaded["weir.core"]
package.loaded["weir.core"] = nil
local fetching = require "weir.fetching"
package.loaded["weir.core"] = loaded

local S = 1e9

describe("fetching", function()
  local cache, world

  -- The stored value and failure are { text, age, left, stale_for }; `claim` is what a claim gives,
  -- `then_value` and `then_failure` what is stored once it was made.
  before_each(function()
    world = { counts = {}, stored = {}, refreshes = 0, left_with = nil, now = 100, random = 0.5 }
    cache = { _handle = "h", _options = { ttl = 60 * S, stale = 0, stale_error = 0, negative = S,
      jitter = 0, early = 0 } }
    core.is_response = function() return false end
    core.json_encode = function(value) return "json:" .. tostring(value and value.error
      and value.error.kind) end
    core.json_decode = function(text)
      return { error = { kind = text:match "json:(.*)", message = "m" } }
    end
    core.error = function(kind, message) return { kind = kind, message = message } end
    core.random = function() return world.random end
    core.now = function() return world.now end
    core.remaining = function() return world.remaining end
    core.deadline_enter = function() return 1 end
    core.cache_stamp = function() return 5 end
    core.cache_count = function(_, word) world.counts[#world.counts + 1] = word end
    core.cache_look = function(_, _, is_failure)
      local item = world.value
      if is_failure then item = world.failure end
      if item then return item[1], is_failure, item[2], item[3], item[4] end
    end
    core.cache_set = function(_, _, text, ttl, _, more)
      world.stored[#world.stored + 1] = { text = text, ttl = ttl, more = more }
      return true, "stored"
    end
    core.cache_claim = function()
      world.claimed = true
      world.value = world.then_value or world.value
      world.failure = world.then_failure or world.failure
      world.now = world.now + (world.wait or 0)
      return world.claim, world.claim == nil and { kind = "deadline" } or nil
    end
    core.current_request = function() return world.request end
    core.request_keep = function(req) world.kept = req end
    core.leave = function(depth, value) world.left_with = { depth, value } end
    core.scope_unwind = function(depth) world.unwound = depth end
    core.cache_refresh = function(_, _, fn, ...)
      world.refreshes = world.refreshes + 1
      fn(...)
      return true
    end
  end)

  local function fetch(fn, options)
    local calls = 0
    local value, err, how = fetching.fetch(cache, "k", function()
      calls = calls + 1
      if fn then return fn() end
      return "made"
    end, options)
    return { value, err and err.kind or false, how, calls }
  end

  it("serves what is fresh", function()
    world.value = { "old", 1, 59, 0 }
    assert.same({ "old", false, "hit", 0 }, fetch())
    assert.is_nil(world.claimed)
  end)

  it("leads, stores with the stamp of before, and leaves", function()
    world.claim = 0
    assert.same({ "made", false, "miss", 1 }, fetch(nil, { ttl = 7, tags = { "a" } }))
    assert.same({ text = "made", ttl = 7, more = { stamp = 5, tags = { "a" } } }, world.stored[1])
    assert.same({ 0, true }, world.left_with)
  end)

  it("serves what was filled between its look and its claim", function()
    world.claim, world.then_value = 0, { "other's", 0, 60, 0 }
    assert.same({ "other's", false, "hit", 0 }, fetch())
    assert.same({ 0, true }, world.left_with)
  end)

  it("decides by the age of what is stale", function()
    -- stale for, window, window for errors, the call fails; value, kind, how, refreshes
    for _, case in ipairs {
      { 5, 10, 0, false, "old", false, "stale", 1, "within the window" },
      { 10, 10, 0, false, "made", false, "miss", 0, "past it" },
      { 5, 0, 10, false, "made", false, "miss", 0, "only for errors, and there is none" },
      { 5, 0, 10, true, "old", false, "stale", 0, "for errors" },
      { 11, 0, 10, true, nil, "reset", "miss", 0, "past that too" },
      { 5, 10, 0, true, "old", false, "stale", 1, "the refresh fails in the background" },
    } do
      local stale_for, stale, stale_error, fails, value, kind, how, refreshes, why = unpack(case, 1,
        9)
      world.value, world.claim, world.refreshes = { "old", 65, 0, stale_for }, 0, 0
      cache._options.stale, cache._options.stale_error = stale * S, stale_error * S
      local got = fetch(fails and function() return nil, { kind = "reset" } end)
      assert.equal(value, got[1], why)
      assert.equal(kind, got[2], why)
      assert.equal(how, got[3], why)
      assert.equal(refreshes, world.refreshes, why)
    end
  end)

  it("does not refresh again while a failure is remembered", function()
    world.value, world.failure = { "old", 65, 0, 5 }, { "json:reset", 0.5, 0.5, 0 }
    cache._options.stale = 10 * S
    assert.same({ "old", false, "stale", 0 }, fetch())
    assert.equal(0, world.refreshes)
  end)

  it("returns a remembered failure without a call", function()
    world.failure = { "json:reset", 0.5, 0.5, 0 }
    assert.same({ nil, "reset", "negative", 0 }, fetch())
    world.failure = { "json:reset", 2, 0, 1 }
    world.claim = 0
    assert.same({ "made", false, "miss", 1 }, fetch(), "it is over")
  end)

  it("takes from the leader a value or a failure that came while it waited", function()
    -- after the wait of 2 s: value, failure; value, kind, how, calls
    for _, case in ipairs {
      { { "new", 0, 60, 0 }, nil, "new", false, "coalesced", 0, "a fresh value" },
      { { "new", 1, 0, 1 }, nil, "new", false, "coalesced", 0, "one with a short ttl" },
      { { "old", 90, 0, 30 }, nil, "made", false, "miss", 1, "one of before" },
      { nil, { "json:reset", 1, 0, 1 }, nil, "reset", "coalesced", 0, "its failure" },
      { nil, { "json:reset", 3, 0, 3 }, "made", false, "miss", 1, "a failure of before" },
      { nil, nil, "made", false, "miss", 1, "nothing: it goes alone" },
    } do
      local value, failure, want, kind, how, calls, why = unpack(case, 1, 7)
      world.value, world.failure, world.claim, world.wait = nil, nil, false, 2
      world.then_value, world.then_failure = value, failure
      assert.same({ want, kind, how, calls }, fetch(), why)
    end
  end)

  it("passes the lead on when its own time is up, and remembers nothing", function()
    world.claim, world.remaining = 3, 0
    assert.same({ nil, "deadline", "miss", 1 },
      fetch(function() return nil, { kind = "deadline" } end))
    assert.equal(3, world.unwound)
    assert.same({}, world.stored)
    world.remaining = 50 -- the limit was one inside of the function
    fetch(function() return nil, { kind = "deadline" } end)
    assert.equal(1, #world.stored)
    assert.is_true(world.stored[1].more.failure)
  end)

  it("serves stale when it may not wait for the leader any longer", function()
    world.value, world.claim = { "old", 65, 0, 5 }, nil
    cache._options.stale_error = 10 * S
    assert.same({ "old", false, "stale", 0 }, fetch())
    cache._options.stale_error = 0
    assert.same({ nil, "deadline", "miss", 0 }, fetch())
  end)

  it("shortens the ttl by a draw, never lengthens it", function()
    world.claim = 0
    for _, case in ipairs { { 0, 0.9, 60 }, { 0.5, 0, 60 }, { 0.5, 0.5, 45 }, { 1, 0.75, 15 } } do
      cache._options.jitter, world.random, world.value = case[1], case[2], nil
      fetch()
      assert.equal(case[3] * S, world.stored[#world.stored].ttl)
    end
  end)

  it("refreshes early by an exponential draw", function()
    cache._options.early = 10 * S
    -- -10 s * ln(1 - u): 6.9 s at 0.5, 23 s at 0.9
    for _, case in ipairs { { 0.5, 6, 1 }, { 0.5, 8, 0 }, { 0.9, 22, 1 }, { 0, 0.1, 0 } } do
      world.random, world.refreshes, world.value = case[1], 0, { "old", 1, case[2], 0 }
      assert.same({ "old", "hit" }, { fetch()[1], fetch()[3] })
      assert.equal(2 * case[3], world.refreshes)
    end
  end)
end)
