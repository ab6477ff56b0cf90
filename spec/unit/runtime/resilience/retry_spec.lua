local c, ffi = require "spec.support.c" ("resilience/retry.h")

local MS, S = 1e6, 1e9
local NEVER = 0xffffffffffffffffULL

local function new_rng(seed)
  local r = ffi.new("struct wr_rng")
  c.wr_rng_init(r, seed)
  return r
end

local function config(options)
  local k = ffi.new("struct wr_retry_config")
  c.wr_retry_config_init(k)
  k.backoff.jitter = c.WR_BACKOFF_NONE
  for key, value in pairs(options or {}) do k[key] = value end
  return k
end

local function decide(k, fields, budget)
  local input = ffi.new("struct wr_retry_input", {
    attempt = 1, now_ns = 100 * S, deadline_at_ns = 110 * S, kind = c.WR_ERROR_NONE, status = 503,
    retryable = true,
  })
  for key, value in pairs(fields or {}) do
    if key ~= "error" then input[key] = value end
  end
  if fields and fields.error then
    input.kind, input.status = c["WR_ERROR_" .. fields.error], 0
  end
  local d = c.wr_retry_decide(k or config(), input, ffi.new("struct wr_backoff"), budget,
    new_rng(1))
  return ffi.string(c.wr_retry_reason_name(d.reason)), tonumber(d.delay_ns), d.retry
end

describe("retry", function()
  it("repeats what may end better and cannot do harm", function()
    -- what failed, reason, why
    local cases = {
      { { error = "CONNECT" }, "retry", "nothing was sent" },
      { { error = "DNS" }, "retry", "nothing was sent" },
      { { error = "RESET" }, "retry", "the connection died before the response" },
      { { error = "TIMEOUT" }, "retry", "the attempt's limit exists for this" },
      { { error = "RESET", retryable = false }, "not_retryable",
        "a POST that may have been executed" },
      { { error = "TLS" }, "not_retryable", "the certificate will be the same" },
      { { error = "PROTOCOL" }, "not_retryable", "the peer speaks like that" },
      { { error = "DEADLINE" }, "not_retryable", "there is no time" },
      { { error = "REFUSED" }, "not_retryable", "our own breaker would refuse again" },
      { { error = "LIMITED" }, "not_retryable", "our own limiter would refuse again" },
      { { error = "SHED" }, "not_retryable", "more load is what we shed" },
      { { error = "CANCELLED" }, "not_retryable", "nobody waits" },
      { { error = "SCRIPT" }, "not_retryable", "it would raise again" },
      { { status = 408 }, "retry", "" }, { { status = 425 }, "retry", "" },
      { { status = 429 }, "retry", "" },
      { { status = 502 }, "retry", "" }, { { status = 503 }, "retry", "" },
      { { status = 504 }, "retry", "" },
      { { status = 500 }, "not_retryable", "it would break again" },
      { { status = 501 }, "not_retryable", "it will not be implemented" },
      { { status = 404 }, "not_retryable", "the client's mistake" },
      { { status = 200 }, "not_retryable", "it did not fail" },
      { { status = 503, retryable = false }, "not_retryable", "not idempotent" },
      { { status = -1 }, "not_retryable", "no status at all" },
      { { status = 5000 }, "not_retryable", "no status at all" },
    }
    for _, case in ipairs(cases) do
      local reason = decide(nil, case[1])
      assert.equal(case[2], reason, (case[1].error or case[1].status) .. ": " .. case[3])
    end
  end)

  it("can be told other statuses and kinds", function()
    local k = config()
    c.wr_retry_on_status(k.on, 500, true)
    c.wr_retry_on_status(k.on, 503, false)
    assert.equal("retry", (decide(k, { status = 500 })))
    assert.equal("not_retryable", (decide(k, { status = 503 })))
    k.on.kinds = bit.lshift(1, tonumber(ffi.cast("int", c.WR_ERROR_REFUSED)))
    assert.equal("retry", (decide(k, { error = "REFUSED" })))
    assert.equal("not_retryable", (decide(k, { error = "CONNECT" })))
  end)

  it("makes two extra attempts by default", function()
    for attempt, want in ipairs { "retry", "retry", "attempts_exhausted", "attempts_exhausted" } do
      assert.equal(want, (decide(nil, { attempt = attempt })))
    end
    assert.equal("attempts_exhausted", (decide(config { max = 0 })))
  end)

  it("starts no attempt that cannot finish before the deadline", function()
    -- ms left, ms expected, ms asked by the upstream, reason, delay in ms, why
    local cases = {
      { 60, 0, 0, "retry", 50, "the backoff and the shortest attempt fit exactly" },
      { 59.999, 0, 0, "deadline", 0, "the backoff does not fit" },
      { 9.999, 0, 0, "deadline", 0, "not even an attempt fits" },
      { 250, 200, 0, "retry", 50, "the usual attempt fits exactly" },
      { 249, 200, 0, "deadline", 0, "the usual attempt does not fit" },
      { 0, 0, 0, "deadline", 0, "no time at all" },
      { -5, 0, 0, "deadline", 0, "past it" },
      { 2000, 0, 1000, "retry", 1050, "the upstream's pause is a floor" },
      { 1030, 0, 1000, "retry", 1020, "what is drawn on top is cut to what is left" },
      { 1010, 0, 1000, "retry", 1000, "the pause itself fits exactly" },
      { 1009, 0, 1000, "after_exceeds_deadline", 0, "the pause does not" },
      { 1500, 501, 1000, "after_exceeds_deadline", 0, "nor with the usual attempt" },
      { 5, 0, 1000, "deadline", 0, "there is no time with or without the pause" },
    }
    for _, case in ipairs(cases) do
      local left, expected, after, want, delay, why = unpack(case)
      local reason, got = decide(nil, {
        deadline_at_ns = 100 * S + left * MS, expected_ns = expected * MS, after_ns = after * MS,
      })
      assert.equal(want, reason, why)
      assert.equal(delay * MS, got, why)
    end
  end)

  it("has all the time there is without a deadline", function()
    local reason, delay = decide(nil, { deadline_at_ns = NEVER, after_ns = 3600 * S })
    assert.equal("retry", reason)
    assert.equal(3600.05 * S, delay)
    assert.equal("retry", (decide(nil, { deadline_at_ns = NEVER, after_ns = NEVER - 1 })))
  end)

  it("pays before it sleeps, and pays for nothing else", function()
    local budget, k = ffi.new("struct wr_budget"), ffi.new("struct wr_budget_config")
    c.wr_budget_config_init(k)
    k.min = 2
    c.wr_budget_init(budget, k)
    decide(nil, { status = 404 }, budget)
    decide(nil, { attempt = 9 }, budget)
    decide(nil, { deadline_at_ns = 100 * S }, budget)
    decide(nil, { after_ns = 60 * S }, budget)
    assert.equal(0, tonumber(budget.withdrawn))
    assert.equal("retry", (decide(nil, {}, budget)))
    assert.equal("retry", (decide(nil, {}, budget)))
    local reason, delay, retry = decide(nil, {}, budget)
    assert.same({ "budget_exhausted", 0, false }, { reason, delay, retry })
    assert.equal(2, tonumber(budget.withdrawn))
  end)

  it("moves along its backoff", function()
    local k, at, rng = config { max = 9 }, ffi.new("struct wr_backoff"), new_rng(1)
    local delays = {}
    for attempt = 1, 7 do
      local input = ffi.new("struct wr_retry_input", {
        attempt = attempt, deadline_at_ns = NEVER, status = 503, retryable = true,
      })
      delays[attempt] = tonumber(c.wr_retry_decide(k, input, at, nil, rng).delay_ns) / MS
    end
    assert.same({ 50, 100, 200, 400, 800, 1000, 1000 }, delays)
  end)

  it("spreads clients that were told the same pause", function()
    local k = config()
    k.backoff.jitter = c.WR_BACKOFF_FULL
    local seen = {}
    for seed = 1, 50 do
      local input = ffi.new("struct wr_retry_input", {
        attempt = 1, deadline_at_ns = NEVER, after_ns = S, status = 429, retryable = true,
      })
      local d = c.wr_retry_decide(k, input, ffi.new("struct wr_backoff"), nil, new_rng(seed))
      assert.is_true(d.delay_ns >= 1e9 and d.delay_ns <= 1.05e9)
      seen[tostring(d.delay_ns)] = true
    end
    local n = 0
    for _ in pairs(seen) do n = n + 1 end
    assert.is_true(n > 40)
  end)

  it("ends in time, within its attempts and its delays, whatever fails", function()
    -- Invariant 5: total elapsed <= deadline, attempts <= max, delays <= cap, no late start.
    local seed = os.time()
    local rng = new_rng(seed)
    local function below(n) return tonumber(c.wr_rng_below(rng, n)) end
    for _ = 1, 2000 do
      local k = config { max = below(6), min_attempt_ns = below(50) * MS }
      k.backoff.jitter = below(6)
      k.backoff.base_ns, k.backoff.cap_ns = below(100) * MS, (100 + below(900)) * MS
      local now, attempt, at = below(1e12), 1, ffi.new("struct wr_backoff")
      local deadline = now + below(3000) * MS
      while true do
        now = now + below(200) * MS
        local expected, after = below(3) * 20 * MS, below(4) == 0 and below(500) * MS or 0
        local input = ffi.new("struct wr_retry_input", {
          attempt = attempt, now_ns = now, deadline_at_ns = deadline, expected_ns = expected,
          after_ns = after, status = 503, retryable = true,
        })
        local d = c.wr_retry_decide(k, input, at, nil, rng)
        local message = ("seed %d attempt %d"):format(seed, attempt)
        if not d.retry then
          assert.equal(0, tonumber(d.delay_ns), message)
          break
        end
        local delay = tonumber(d.delay_ns)
        assert.is_true(delay >= after and delay <= after + tonumber(k.backoff.cap_ns), message)
        now, attempt = now + delay, attempt + 1
        assert.is_true(now + math.max(expected, tonumber(k.min_attempt_ns)) <= deadline, message)
        assert.is_true(attempt <= k.max + 1, message)
      end
    end
  end)

  it("names the bound that a configuration breaks", function()
    for word, options in pairs { max = { max = 101 }, min_attempt = { min_attempt_ns = 1e18 } } do
      assert.truthy(ffi.string(c.wr_retry_config_check(config(options))):find(word, 1, true))
    end
    local k = config()
    k.backoff.factor = 0
    assert.truthy(ffi.string(c.wr_retry_config_check(k)):find("factor", 1, true))
    assert.is_true(c.wr_retry_config_check(config()) == nil)
  end)
end)
