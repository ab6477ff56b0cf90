local c, ffi = require "spec.support.c" ("resilience/breaker.h")

local S = 1e9
local NEVER = 0xffffffffffffffffULL

local function config(options)
  local k = ffi.new("struct wr_breaker_config")
  c.wr_breaker_config_init(k)
  k.open_jitter = 0
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

--- A breaker with a clock of its own; times are absolute nanoseconds.
local Breaker = {}
Breaker.__index = Breaker

local function new(options, now)
  local rng = ffi.new("struct wr_rng")
  c.wr_rng_init(rng, 42)
  local b = ffi.new("struct wr_breaker")
  c.wr_breaker_init(b, config(options), rng, now or 0)
  return setmetatable({ c = b, now = now or 0 }, Breaker)
end

function Breaker:try()
  local ticket = ffi.new("struct wr_ticket")
  local refusal = ffi.new("struct wr_breaker_refusal")
  if c.wr_breaker_try(self.c, self.now, ticket, refusal) then return ticket end
  return nil, ffi.string(c.wr_breaker_refusal_name(refusal.kind)), refusal.retry_after_ns
end

function Breaker:settle(ticket, outcome)
  return c.wr_breaker_settle(self.c, ticket, c["WR_OUTCOME_" .. outcome:upper()], self.now)
end

function Breaker:call(outcome, n)
  for _ = 1, n or 1 do self:settle(assert(self:try()), outcome) end
  return self
end

function Breaker:at(now)
  self.now = now
  return self
end

function Breaker:state()
  return ffi.string(c.wr_breaker_state_name(c.wr_breaker_state(self.c, self.now)))
end

function Breaker:stats()
  local s = ffi.new("struct wr_breaker_stats")
  c.wr_breaker_stats(self.c, self.now, s)
  return s
end

function Breaker:advance()
  c.wr_breaker_advance(self.c, self.now)
  return self
end

function Breaker:configure(options)
  c.wr_breaker_reconfigure(self.c, config(options), self.now)
  return self
end

function Breaker:force(mode)
  c.wr_breaker_force(self.c, c["WR_BREAKER_MODE_" .. mode:upper()], self.now)
  return self
end

function Breaker:events()
  local list, e = {}, ffi.new("struct wr_breaker_event")
  while c.wr_breaker_take_event(self.c, e) do
    list[#list + 1] = {
      seq = tonumber(e.seq), at = tonumber(e.at_ns), calls = e.calls, overdue = e.overdue,
      from = ffi.string(c.wr_breaker_state_name(e.from)),
      to = ffi.string(c.wr_breaker_state_name(e.to)),
      cause = ffi.string(c.wr_breaker_cause_name(e.cause)), failure_rate = e.failure_rate,
    }
  end
  return list
end

--- The story of a breaker in a line: "closed>open failure_rate @1s, …"
function Breaker:story()
  local parts = {}
  for _, e in ipairs(self:events()) do
    parts[#parts + 1] = ("%s>%s %s @%gs"):format(e.from, e.to, e.cause, e.at / S)
  end
  return table.concat(parts, ", ")
end

function Breaker:counter(name)
  return tonumber(self.c.counters[name])
end

--- Opened at `now` by 20 failures.
local function opened(options, now)
  return new(options, now):call("failure", 20)
end

--- In half-open since `opened at 0 + 5 s`.
local function half_open(options)
  return opened(options, 0):at(5 * S):advance()
end

describe("closed breaker", function()
  it("trips when the failure rate of enough calls reaches its threshold", function()
    -- successes, failures, state, reason
    local cases = {
      { 0, 19, "closed", "fewer calls than min_calls prove nothing" },
      { 0, 20, "open", "all failed" },
      { 10, 9, "closed", "fewer than min_calls" },
      { 10, 10, "open", "at the threshold counts" },
      { 11, 10, "closed", "10 of 21 is below a half" },
      { 100, 99, "closed", "below a half" },
      { 100, 100, "open", "half" },
    }
    for _, case in ipairs(cases) do
      local b = new():call("success", case[1]):call("failure", case[2])
      assert.equal(case[3], b:state(), case[4])
    end
  end)

  it("trips at a rate that no binary fraction can express", function()
    for _, case in ipairs { { 0.1, 30, 3 }, { 0.3, 10, 3 }, { 0.7, 10, 7 }, { 0.29, 100, 29 } } do
      local rate, calls, failures = unpack(case)
      local options = { failure_rate = rate, min_calls = calls }
      local b = new(options):call("success", calls - failures):call("failure", failures - 1)
      assert.equal("closed", b:state())
      assert.equal("open", b:call("failure"):state(), rate .. " of " .. calls)
    end
  end)

  it("judges successes too: the call that completes min_calls may be a good one", function()
    local b = new():call("failure", 19):call("success", 1)
    assert.equal("open", b:state())
  end)

  it("forgets failures older than the window", function()
    local b = new():call("failure", 19):at(10 * S):call("failure", 19)
    assert.equal("closed", b:state())
  end)

  it("trips on a burst across the edge of two slots", function()
    local b = new({ min_calls = 8 }):at(0.99 * S):call("failure", 4):at(1.01 * S):call("failure", 4)
    assert.equal("open", b:state())
  end)

  it("counts the last calls, whatever their age, with a window of calls", function()
    local b = new({ window_kind = c.WR_WINDOW_COUNT, window_size = 30 })
    b:call("success", 30):at(1000 * S):call("failure", 14)
    assert.equal("closed", b:state())
    assert.equal("open", b:call("failure"):state())
  end)

  it("needs no more calls than a small window of calls can hold", function()
    local b = new({ window_kind = c.WR_WINDOW_COUNT, window_size = 4, min_calls = 100 })
    assert.equal("open", b:call("failure", 4):state())
  end)

  it("trips on failures in a row, which only a success interrupts", function()
    local b = new({ consecutive = 3, failure_rate = 0 })
    b:call("failure", 2):call("success"):call("failure", 2):call("ignored"):call("cancelled")
    assert.equal("closed", b:state())
    b:call("failure")
    assert.equal("closed>open consecutive @0s", b:story())
  end)

  it("counts failures in a row anew after a recovery", function()
    local b = new({ consecutive = 3, failure_rate = 0 }):call("failure", 3)
    b:at(5 * S):call("success", 3):call("failure", 2)
    assert.equal("closed", b:state())
    assert.equal("open", b:call("failure"):state())
  end)

  it("trips on slow calls, failed or not", function()
    local b = new({ slow_call_ns = S, slow_rate = 0.5, failure_rate = 0, min_calls = 4 })
    local function took(ns, outcome)
      local t = b:try()
      b:at(b.now + ns):settle(t, outcome)
    end
    took(S - 1, "success")
    took(S - 1, "failure")
    took(S, "success")
    assert.equal("closed", b:state())
    took(S, "failure")
    assert.matches("closed>open slow_rate", b:story())
    assert.equal(2, b:counter "slow")
  end)

  it("counts running calls that are already slow, before any of them ends", function()
    local b = new({ slow_call_ns = S, slow_rate = 0.5, failure_rate = 0, min_calls = 4 })
    b:call("success", 3)
    local tickets = {}
    for i = 1, 3 do tickets[i] = b:try() end
    assert.is_true(b.c.inflight.count == 3)
    b:at(0.99 * S):advance()
    assert.equal("closed", b:state())
    local due = tonumber(c.wr_breaker_next_ns(b.c))
    assert.is_true(due >= S and due <= 1.1 * S)
    b:at(due)
    assert.equal("open", b:state(), "without a call and before any timer")
    b:advance()
    local event = b:events()[1]
    assert.equal("slow_in_flight", event.cause)
    assert.equal(3, event.overdue)
    assert.equal(3, event.calls)
    for i = 1, 3 do assert.is_false(b:settle(tickets[i], "success")) end
    assert.equal(3, b:counter "stale")
  end)

  it("adds running slow calls to the finished ones to reach min_calls", function()
    for finished, want in pairs { [1] = "closed", [2] = "open" } do
      local b = new({ slow_call_ns = S, slow_rate = 0.5, failure_rate = 0, min_calls = 4 })
      b:call("success", finished)
      b:try()
      b:try()
      assert.equal(want, b:at(2 * S):state(), finished .. " finished, 2 running")
    end
  end)

  it("counts a slow call once: while it runs, then when it has ended", function()
    local b = new({ slow_call_ns = S, slow_rate = 0.9, min_calls = 4 })
    b:call("success", 6)
    local t = b:try()
    b:at(2 * S)
    assert.equal(1, b:stats().overdue)
    b:settle(t, "success")
    local s = b:stats()
    assert.same({ 0, 1, 7 }, { s.overdue, s.slow, s.calls })
  end)

  it("gives the same timeline however late its timer is", function()
    local options = { slow_call_ns = S, slow_rate = 0.5, failure_rate = 0, min_calls = 2 }
    local punctual, late = new(options), new(options)
    for _, b in ipairs { punctual, late } do
      b:try()
      b:try()
    end
    for _ = 1, 10 do
      local due = c.wr_breaker_next_ns(punctual.c)
      if due == NEVER then break end
      punctual:at(due):advance()
    end
    late:at(3600 * S):advance()
    assert.equal(punctual:story(), late:story())
    assert.equal("closed", late:state())
  end)

  it("does not count what was not executed", function()
    local b = new():call("ignored", 100):call("cancelled", 100)
    local s = b:stats()
    assert.same({ 0, 0, 0 }, { s.calls, s.failures, s.slow })
    assert.equal(100, b:counter "ignored")
    assert.equal(100, b:counter "cancelled")
    assert.equal(0, b:counter "failed" + b:counter "successful")
  end)

  it("settles a ticket once", function()
    local b = new()
    local t = b:try()
    assert.is_true(b:settle(t, "failure"))
    assert.is_false(b:settle(t, "failure"))
    assert.is_false(b:settle(t, "success"))
    assert.equal(1, b:stats().calls)
    assert.equal(0, b:counter "stale")
  end)

  it("says whether there are enough calls for the rates to mean something", function()
    local b = new():call("failure", 4):call("success", 6)
    local s = b:stats()
    assert.is_false(s.enough)
    assert.is_true(math.abs(s.failure_rate - 0.4) < 1e-12)
    assert.is_true(b:call("success", 10):stats().enough)
    assert.equal(0, new():stats().failure_rate)
  end)
end)

describe("open breaker", function()
  it("refuses and says for how long", function()
    local b = opened()
    for _, case in ipairs { { 0, 5 }, { 1, 4 }, { 4.999, 0.001 } } do
      local ticket, reason, after = b:at(case[1] * S):try()
      assert.is_nil(ticket)
      assert.equal("open", reason)
      assert.is_true(math.abs(tonumber(after) - case[2] * S) < 2)
    end
    assert.equal(3, b:counter "not_permitted")
  end)

  it("becomes half-open by the clock alone, and by a timer for those who watch", function()
    local b = opened()
    assert.equal("open", b:at(5 * S - 1):state())
    assert.equal("half_open", b:at(5 * S):state())
    assert.equal("closed>open failure_rate @0s", b:story(), "nobody has told the breaker")
    assert.equal(5 * S, tonumber(c.wr_breaker_next_ns(b.c)))
    b:at(5.3 * S):advance()
    assert.equal("open>half_open open_elapsed @5s", b:story(), "at the time it was due")
  end)

  it("ignores results of calls that it admitted before", function()
    local b = new()
    local late = {}
    for i = 1, 5 do late[i] = b:try() end
    b:call("failure", 20)
    for i = 1, 5 do assert.is_false(b:settle(late[i], i % 2 == 0 and "success" or "failure")) end
    assert.equal("open", b:state())
    assert.equal(5, b:counter "stale")
    assert.equal(20, b:counter "failed")
  end)

  it("stays open twice as long each time it trips again too soon, up to its maximum", function()
    local b = new({ failure_rate = 0, consecutive = 1 })
    local times, at = {}, 0
    for i = 1, 6 do
      b:at(at):call("failure")
      local _, _, after = b:try()
      times[i] = tonumber(after) / S
      at = at + tonumber(after)
    end
    assert.same({ 5, 10, 20, 40, 60, 60 }, times)
    assert.equal(6, b:stats().trips)
  end)

  it("forgets its trips after it was closed for as long as it was open", function()
    local function second(closed_for)
      local b = new({ failure_rate = 0, consecutive = 1 }):call "failure"
      b:at(5 * S):call("success", 3)
      assert.equal("closed", b:state())
      b:at(b.now + closed_for):call("failure")
      local _, _, after = b:try()
      return tonumber(after) / S
    end
    assert.equal(10, second(5 * S - 1))
    assert.equal(5, second(5 * S))
  end)

  it("varies its open time by its jitter", function()
    local rng = ffi.new("struct wr_rng")
    c.wr_rng_init(rng, 7)
    local least, most = math.huge, 0
    for _ = 1, 200 do
      local b = ffi.new("struct wr_breaker")
      c.wr_breaker_init(b, config { open_jitter = 0.1, failure_rate = 0, consecutive = 1 }, rng, 0)
      local wrapped = setmetatable({ c = b, now = 0 }, Breaker)
      wrapped:call("failure")
      local time = tonumber(c.wr_breaker_next_ns(b))
      least, most = math.min(least, time), math.max(most, time)
    end
    assert.is_true(least >= 4.5 * S and least < 4.6 * S, tostring(least))
    assert.is_true(most <= 5.5 * S and most > 5.4 * S, tostring(most))
  end)
end)

describe("half-open breaker", function()
  it("admits as many probes as it needs verdicts, and refuses the rest", function()
    local b = half_open()
    for _ = 1, 3 do assert.equal(c.WR_TICKET_PROBE, b:try().kind) end
    local ticket, reason, after = b:try()
    assert.is_nil(ticket)
    assert.equal("probes", reason)
    assert.equal(4 * S, tonumber(after), "when the first lease lapses")
  end)

  it("decides as soon as the missing verdicts cannot change the answer", function()
    -- probes, failure_rate, slow_rate, results (s f, capital: slow), state, reason
    local cases = {
      { 3, 0.5, 0, "s", "half_open", "two failures may follow" },
      { 3, 0.5, 0, "ss", "closed", "one failure of three is below a half" },
      { 3, 0.5, 0, "f", "half_open", "one of three is below a half" },
      { 3, 0.5, 0, "ff", "open", "two of three" },
      { 3, 0.5, 0, "fs", "half_open", "the third decides" },
      { 3, 0.5, 0, "fss", "closed", "one of three" },
      { 3, 0.5, 0, "fsf", "open", "two of three" },
      { 1, 0.5, 0, "s", "closed", "a single probe" },
      { 1, 0.5, 0, "f", "open", "a single probe" },
      { 3, 0, 0, "ss", "half_open", "without a failure rate all must succeed" },
      { 3, 0, 0, "sss", "closed", "all succeeded" },
      { 3, 0, 0, "ssf", "open", "one failed" },
      { 3, 1, 0, "s", "closed", "not all can fail any more" },
      { 4, 0.5, 0.5, "S", "half_open", "one slow of four" },
      { 4, 0.5, 0.5, "SS", "open", "half are slow" },
      { 4, 0.5, 0.5, "sss", "closed", "one slow or failed probe would change nothing" },
      { 4, 0.5, 0.5, "fS", "half_open", "one failed, another slow" },
      { 4, 0.5, 0.5, "F", "half_open", "failed and slow, one of four" },
    }
    for _, case in ipairs(cases) do
      local n, rate, slow_rate, results, want, reason = unpack(case)
      local b = half_open { probes = n, failure_rate = rate, slow_rate = slow_rate,
        slow_call_ns = S, consecutive = 20, min_calls = 20 }
      assert.equal("half_open", b:state())
      local tickets = {}
      for i = 1, #results do tickets[i] = b:try() end
      for i = 1, #results do
        local r = results:sub(i, i)
        -- The slow ones come last: time only moves forward.
        if r:match "%u" then b:at(6.5 * S) end
        b:settle(tickets[i], r:lower() == "s" and "success" or "failure")
      end
      assert.equal(want, b:state(), ("%d probes at %g: %s: %s"):format(n, rate, results, reason))
    end
  end)

  it("replaces a probe that was released without a verdict, and no other", function()
    local b = half_open()
    local a = b:try()
    b:try()
    b:try()
    assert.is_nil(b:try())
    b:settle(a, "cancelled")
    local replacement = b:try()
    assert.is_not_nil(replacement)
    assert.is_nil(b:try())
    b:settle(replacement, "failure")
    assert.is_nil(b:try(), "a verdict is not replaced")
  end)

  it("takes a result of the closed time for what it is: stale", function()
    local b = new()
    local late = {}
    for i = 1, 4 do late[i] = b:try() end
    b:call("failure", 20):at(5 * S):advance()
    for i = 1, 4 do b:settle(late[i], i <= 2 and "success" or "ignored") end
    assert.equal("half_open", b:state())
    for _ = 1, 3 do assert.is_not_nil(b:try()) end
    assert.is_nil(b:try(), "released closed-time calls give no extra probes")
  end)

  it("counts a probe that outlives its lease as failed, its late result as stale", function()
    local b = half_open()
    local first = b:try()
    b:at(6 * S)
    b:try()
    assert.equal(9 * S, tonumber(c.wr_breaker_next_ns(b.c)))
    b:at(9 * S):advance()
    assert.equal("half_open", b:state())
    assert.is_false(b:settle(first, "success"))
    assert.equal(1, b:counter "stale")
    assert.equal(1, b:counter "lapsed")
    b:at(10 * S):advance()
    assert.equal("open", b:state(), "two of three failed")
    local events = b:events()
    assert.equal("probes_failed", events[#events].cause)
    assert.equal(10 * S, events[#events].at)
    assert.equal(2, events[#events].calls)
    assert.equal(20, b:counter "failed", "only `lapsed` counts them: nobody knows how they ended")
  end)

  it("always ends", function()
    -- what happens in half-open, then the state when its time is over, and why
    local cases = {
      { function() end, "closed", "idle" },
      { function(b) b:settle(b:try(), "cancelled") end, "open", "probes_silent" },
      { function(b) b:settle(b:try(), "success") end, "closed", "probes_succeeded" },
      { function(b) b:settle(b:try(), "failure") end, "open", "probes_failed" },
      { function(b) b:at(14.9 * S):try() end, "open", "probes_silent" },
      { function(b)
        b:settle(b:try(), "success")
        b:settle(b:try(), "failure")
      end, "open", "probes_failed" },
    }
    for i, case in ipairs(cases) do
      local b = half_open()
      b:events()
      case[1](b)
      assert.equal("half_open", b:at(15 * S - 1):state(), "case " .. i)
      assert.equal(case[2], b:at(15 * S):state(), "case " .. i)
      assert.equal(15 * S, tonumber(c.wr_breaker_next_ns(b.c)), "case " .. i)
      b:advance()
      assert.equal(("half_open>%s %s @15s"):format(case[2], case[3]), b:story(), "case " .. i)
    end
  end)

  it("lasts for two attempts when they are long, and as configured when it is", function()
    local long = half_open { attempt_timeout_ns = 30 * S }
    assert.equal(65 * S, tonumber(c.wr_breaker_next_ns(long.c)))
    long:try()
    assert.equal(65 * S, tonumber(c.wr_breaker_next_ns(long.c)), "a lease of two attempts")
    local short = half_open { half_open_ns = 2 * S, probe_lease_ns = S }
    assert.equal(7 * S, tonumber(c.wr_breaker_next_ns(short.c)))
    short:try()
    assert.equal(6 * S, tonumber(c.wr_breaker_next_ns(short.c)))
  end)

  it("replays a long silence in order", function()
    local b = opened():at(86400 * S):advance()
    assert.equal("closed>open failure_rate @0s, open>half_open open_elapsed @5s, "
      .. "half_open>closed idle @15s", b:story())
  end)
end)

describe("ramp", function()
  local function recovered(options)
    local b = half_open(options)
    local a, d = b:try(), b:try()
    b:settle(a, "success")
    b:settle(d, "success")
    assert.equal("closed", b:state())
    return b
  end

  local function admitted(b, n)
    local count = 0
    for _ = 1, n do
      local t, reason = b:try()
      if t then
        count = count + 1
        b:settle(t, "success")
      else
        assert.equal("ramp", reason)
      end
    end
    return count
  end

  it("is off by default", function()
    assert.equal(100, admitted(recovered(), 100))
  end)

  it("admits a share that grows from its start to all", function()
    for _, case in ipairs { { 0, 11 }, { 5, 55 }, { 9, 91 }, { 10, 100 } } do
      local b = recovered { ramp_ns = 10 * S }
      b:at(5 * S + case[1] * S)
      local got = admitted(b, 100)
      assert.is_true(math.abs(got - case[2]) <= 1, case[1] .. " s: " .. got)
    end
    local b = recovered { ramp_ns = 10 * S }
    assert.is_true(math.abs(b:stats().share - 0.1) < 1e-9)
    b:try()
    assert.equal(10 * S, tonumber((select(3, b:try()))))
  end)

  it("admits the first call", function()
    assert.is_not_nil(recovered { ramp_ns = 10 * S, ramp_from = 0 }:try())
  end)

  it("does not keep a breaker from opening again", function()
    local b = recovered { ramp_ns = 10 * S }
    for _ = 1, 250 do
      local t = b:try()
      if t then b:settle(t, "failure") end
    end
    assert.equal("open", b:state())
  end)

  it("ends at once when a configuration turns it off", function()
    local b = recovered { ramp_ns = 10 * S }
    b:configure {}
    assert.equal(50, admitted(b, 50))
  end)
end)

describe("breaker modes", function()
  it("forced open refuses without end", function()
    local b = new():force "forced_open"
    local ticket, reason, after = b:try()
    assert.is_nil(ticket)
    assert.equal("forced", reason)
    assert.equal(NEVER, after)
    assert.equal("forced_open", b:at(1e6 * S):state())
    assert.equal(NEVER, c.wr_breaker_next_ns(b.c))
  end)

  it("forced closed counts and never trips, until it is lifted", function()
    local b = new():force "forced_closed"
    b:call("failure", 100)
    assert.equal("forced_closed", b:state())
    assert.equal(1, b:stats().failure_rate)
    b:force "normal"
    assert.equal("closed>forced_closed mode @0s, forced_closed>closed mode @0s, "
      .. "closed>open failure_rate @0s", b:story())
  end)

  it("disabled counts nothing", function()
    local b = new { mode = c.WR_BREAKER_MODE_DISABLED }
    local t = b:try()
    assert.is_false(b:settle(t, "failure"))
    b:call("failure", 100)
    assert.equal("disabled", b:state())
    assert.equal(0, b:stats().calls)
    assert.equal(0, b:counter "failed")
    assert.equal("", b:story())
  end)

  it("shadow goes through all states, refuses nothing and counts what it would have", function()
    local b = new { mode = c.WR_BREAKER_MODE_SHADOW }
    b:call("failure", 20)
    assert.equal("open", b:state())
    b:call("failure", 7)
    assert.equal(7, b:counter "shadow_not_permitted")
    b:at(5 * S)
    local tickets = {}
    for i = 1, 5 do tickets[i] = assert(b:try()) end
    assert.equal(9, b:counter "shadow_not_permitted")
    for i = 4, 5 do b:settle(tickets[i], "failure") end
    assert.equal("half_open", b:state(), "only probes decide")
    for i = 1, 2 do b:settle(tickets[i], "success") end
    assert.equal("closed", b:state())
    assert.equal(0, b:counter "not_permitted")
  end)

  it("begin in the state of the configured mode", function()
    local b = new { mode = c.WR_BREAKER_MODE_FORCED_OPEN }
    assert.equal("forced_open", b:state())
    b:configure {}
    assert.equal("forced_open>closed mode @0s", b:story())
  end)

  it("of an operator outlive a reload", function()
    local b = new():force "forced_open"
    b:configure { min_calls = 5 }
    assert.equal("forced_open", b:state())
    b:force "normal"
    assert.equal("closed", b:state())
  end)

  it("change to shadow and back without touching the state", function()
    local b = opened()
    b:events()
    b:force "shadow"
    assert.is_not_nil(b:try())
    assert.equal("open", b:state())
    b:force "normal"
    assert.is_nil(b:try())
    assert.equal("", b:story())
  end)
end)

describe("reconfigured breaker", function()
  it("applies a threshold to the calls it has seen", function()
    local b = new({ failure_rate = 0.9 }):call("failure", 12):call("success", 8)
    assert.equal("closed", b:state())
    b:configure { failure_rate = 0.5 }
    assert.equal("open", b:state())
  end)

  it("keeps an open time that runs, and its trips", function()
    local b = opened():at(2 * S)
    b:configure { open_ns = 30 * S, window_size = 60 * S }
    assert.equal("open", b:at(5 * S - 1):state())
    assert.equal("half_open", b:at(5 * S):state())
  end)

  it("keeps probes and verdicts of a half-open time", function()
    local b = half_open { probes = 5 }
    local tickets = {}
    for i = 1, 5 do tickets[i] = b:try() end
    b:settle(tickets[1], "success")
    b:configure { probes = 2 }
    assert.is_nil(b:try())
    assert.equal("half_open", b:state())
    b:settle(tickets[2], "success")
    assert.equal("closed", b:state())
  end)

  it("keeps counters, calls in flight and generation", function()
    local b = new():call("failure", 3)
    local t = b:try()
    local generation = b.c.generation
    b:configure { window_size = 20 * S, slow_call_ns = S }
    assert.equal(generation, b.c.generation)
    assert.is_true(b:settle(t, "success"))
    assert.equal(4, b:stats().calls)
    assert.equal(3, b:counter "failed")
    assert.equal(0, b:stats().inflight)
  end)

  it("refuses a configuration outside its bounds, and names the bound", function()
    local cases = {
      { { window_kind = 7 }, "window" }, { { window_size = 0 }, "1ms" },
      { { window_kind = 1, window_size = 1025 }, "1024" },
      { { window_kind = 1, window_size = 0 }, "1 to" },
      { { min_calls = 0 }, "min_calls" }, { { consecutive = 2e6 }, "consecutive" },
      { { failure_rate = 1.1 }, "failure_rate" }, { { failure_rate = 0 / 0 }, "failure_rate" },
      { { slow_rate = -1 }, "slow_rate" }, { { slow_rate = 0.5 }, "needs slow_call" },
      { { open_ns = 0 }, "open must" }, { { open_max_ns = S }, "at least open" },
      { { open_jitter = 2 }, "open_jitter" }, { { probes = 0 }, "probes" },
      { { probes = 17 }, "probes" },
      { { attempt_timeout_ns = 1e18 }, "attempt_timeout" },
      { { probe_lease_ns = 1e18 }, "probe_lease" },
      { { half_open_ns = 1e18 }, "half_open" }, { { ramp_ns = 1e18 }, "ramp must" },
      { { ramp_from = 2 }, "ramp_from" }, { { mode = 9 }, "mode" },
      { { slow_call_ns = 1e18 }, "slow_call" },
    }
    for _, case in ipairs(cases) do
      local message = c.wr_breaker_config_check(config(case[1]))
      assert.is_true(message ~= nil, case[2])
      assert.truthy(ffi.string(message):find(case[2], 1, true), ffi.string(message))
    end
    assert.is_true(c.wr_breaker_config_check(config()) == nil)
  end)
end)

describe("breaker events", function()
  it("are lost oldest first when nobody takes them, and the gap shows", function()
    local b = new({ failure_rate = 0, consecutive = 1, probes = 1 })
    for _ = 1, 20 do
      b:call("failure"):at(b.now + 100 * S):advance()
    end
    local events = b:events()
    assert.equal(16, #events)
    assert.equal(60 - 16, tonumber(b.c.events.lost))
    assert.equal(45, events[1].seq)
    assert.equal(60, events[16].seq)
  end)

  it("carry the evidence", function()
    local b = new():call("success", 8):call("failure", 12)
    local e = b:events()[1]
    assert.same({ 1, 20 }, { e.seq, e.calls })
    assert.is_true(math.abs(e.failure_rate - 0.6) < 1e-6)
  end)
end)

describe("breaker clocks", function()
  it("that lag behind by a turn change nothing but a hint", function()
    local b = opened({}, 100 * S)
    local _, _, after = b:at(99.99 * S):try()
    assert.is_true(tonumber(after) >= 5 * S)
    local other = new({ slow_call_ns = S, slow_rate = 0.5 }, 100 * S)
    local t = other:try()
    other:at(99.99 * S)
    assert.is_true(other:settle(t, "success"))
    assert.equal(0, other:counter "slow", "a call cannot have taken less than nothing")
    assert.equal(1, other:stats().calls)
  end)
end)
