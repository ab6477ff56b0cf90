local c, ffi = require "spec.support.c" ("http/freshness.h")
local fields = require "spec.support.fields"

local S = 1000000000
local NOW = 784111777 -- Sun, 06 Nov 1994 08:49:37 GMT
local DATE = { "Date", "Sun, 06 Nov 1994 08:49:37 GMT" }

local function date(name, seconds)
  return { name, os.date("!%a, %d %b %Y %H:%M:%S GMT", NOW + seconds) }
end

local MODIFIED = date("Last-Modified", -1000)

local function rules(o)
  return ffi.new("struct wr_freshness_rules", {
    is_shared = o.shared ~= false, heuristic = o.heuristic or 0.1, heuristic_max_s = 86400,
    ttl_s = o.ttl or -1, stale_while_revalidate_s = o.swr or 0, stale_if_error_s = o.sie or 0,
  })
end

local function directives(list, name)
  local cc = ffi.new("struct wr_cache_control")
  c.wr_cache_control_read(list, fields.slice(name or "Cache-Control"), cc)
  return cc
end

local function read(list, o)
  o = o or {}
  local headers = fields.list(list)
  local out = ffi.new("struct wr_freshness")
  local r = ffi.new("struct wr_freshness_response", {
    status = o.status or 200, headers = headers, cc = directives(headers, o.target),
    is_targeted = o.target ~= nil, wall_s = NOW, now_ns = 5 * S, delay_ns = (o.delay or 0) * S,
  })
  c.wr_freshness_read(r, rules(o), out)
  return out
end

local function cc(value) return { "Cache-Control", value } end

describe("freshness", function()
  before_each(fields.clear)

  describe("reads the lifetime", function()
    for _, case in ipairs {
      { "max-age", { cc "max-age=60" }, 60 },
      { "s-maxage before max-age, in shared caches", { cc "max-age=60, s-maxage=5" }, 5 },
      { "max-age before s-maxage, in private ones", { cc "max-age=60, s-maxage=5" }, 60,
        { shared = false } },
      { "max-age before Expires", { cc "max-age=60", date("Expires", 5) }, 60 },
      { "Expires since Date", { date("Date", -10), date("Expires", 20) }, 30 },
      { "Expires since now, without Date", { date("Expires", 20) }, 20 },
      { "Expires since now, with a Date that is none",
        { { "Date", "x" }, date("Expires", 20) }, 20 },
      { "Expires before Date", { date("Date", 40), date("Expires", 30) }, 0 },
      { "an Expires that is no date", { DATE, { "Expires", "0" } }, 0 },
      { "two Expires", { DATE, date("Expires", 20), date("Expires", 20) }, 0 },
      { "a tenth of the time since Last-Modified", { DATE, date("Last-Modified", -1000) }, 100 },
      { "no more than a day by guess", { DATE, date("Last-Modified", -9e7) }, 86400 },
      { "nothing from a Last-Modified to come", { DATE, date("Last-Modified", 1000) }, 0 },
      { "the policy's own, before a guess", { DATE, MODIFIED }, 7, { ttl = 7 } },
      { "a guess for any status that is public", { DATE, MODIFIED, cc "public" }, 100,
        { status = 599 } },
      { "no guess for other statuses", { DATE, MODIFIED }, 0, { status = 503 } },
      { "no guess when it is off", { DATE, MODIFIED }, 0, { heuristic = 0 } },
      { "of a targeted field, whatever Expires says", { { "T", "public" }, date("Expires", 20) }, 0,
        { target = "T" } },
    } do
      it("from " .. case[1], function()
        local f = read(case[2], case[4])
        assert.equal(case[3], tonumber(f.lifetime_s))
      end)
    end

    it("and tells whether it was said, and whether it was guessed", function()
      local said, guessed = read { cc "max-age=0" }, read { DATE, date("Last-Modified", -1000) }
      local none = read {}
      assert.same({ 1, 0 }, { said.has_lifetime, said.is_heuristic })
      assert.same({ 1, 1 }, { guessed.has_lifetime, guessed.is_heuristic })
      assert.same({ 0, 0 }, { none.has_lifetime, none.is_heuristic })
    end)
  end)

  -- RFC 9111 4.2.3.
  describe("corrects the age", function()
    for _, case in ipairs {
      { "nothing said", {}, 0 },
      { "the delay", {}, 3, 3 },
      { "Age and the delay", { { "Age", "10" } }, 13, 3 },
      { "a Date in the past", { date("Date", -30) }, 30, 3 },
      { "a Date in the past and a smaller Age", { date("Date", -30), { "Age", "10" } }, 30, 3 },
      { "a Date to come", { date("Date", 30), { "Age", "10" } }, 10 },
      { "an Age that is no number", { { "Age", "7200;a=b" } }, 2 ^ 31 },
      { "a negative Age", { { "Age", "-1" } }, 2 ^ 31 },
      { "two Ages", { { "Age", "0" }, { "Age", "0" } }, 2 ^ 31 },
      { "a list of Ages", { { "Age", "0, 0" } }, 2 ^ 31 },
    } do
      it("by " .. case[1], function()
        local f = read(case[2], { delay = case[4] })
        assert.equal(case[3], tonumber(f.initial_age_ns) / S)
        assert.equal(case[3] + 4, tonumber(c.wr_freshness_age(f, 9 * S)) / S)
      end)
    end
  end)

  describe("judges", function()
    local words = { [0] = "serve", "refresh", "validate" }

    local function judge(response, age, request, o)
      local f = read({ cc(response) }, o)
      local asked = request and directives(fields.list { cc(request) }) or nil
      return words[tonumber(c.wr_freshness_judge(f, age * S, asked))]
    end

    for _, case in ipairs {
      { "max-age=60", 59, nil, "serve" },
      { "max-age=60", 60, nil, "validate", "fresh is younger than the lifetime" },
      { "max-age=60, no-cache", 1, nil, "validate" },
      { "max-age=60, stale-while-revalidate=10", 70, nil, "refresh" },
      { "max-age=60, stale-while-revalidate=10", 71, nil, "validate" },
      { "max-age=60, stale-while-revalidate=10, must-revalidate", 61, nil, "validate" },
      { "max-age=60, stale-while-revalidate=10, proxy-revalidate", 61, nil, "validate" },
      { "s-maxage=60, stale-while-revalidate=10", 61, nil, "validate",
        "s-maxage is proxy-revalidate, too" },
      { "max-age=60, stale-while-revalidate=10, proxy-revalidate", 61, nil, "refresh",
        "of a private cache", { shared = false } },
      { "max-age=60", 65, nil, "refresh", "the policy permits it", { swr = 10 } },
      { "max-age=60, stale-while-revalidate=0", 65, nil, "validate", "the response forbids it",
        { swr = 10 } },
      { "max-age=60", 1, "no-cache", "validate" },
      { "max-age=60", 1, "max-age=0", "validate" },
      { "max-age=60", 20, "max-age=20", "serve" },
      { "max-age=60", 21, "max-age=20", "validate" },
      { "max-age=60", 40, "min-fresh=20", "serve" },
      { "max-age=60", 41, "min-fresh=20", "validate" },
      { "max-age=60", 70, "max-stale=10", "serve" },
      { "max-age=60", 71, "max-stale=10", "validate" },
      { "max-age=60", 1e9, "max-stale", "serve" },
      { "max-age=60, must-revalidate", 61, "max-stale", "validate" },
      { "max-age=60", 70, "max-stale=10, max-age=5", "validate" },
    } do
      it(("'%s' at %d s for '%s': %s%s"):format(case[1], case[2], case[3] or "", case[4],
        case[5] and " (" .. case[5] .. ")" or ""), function()
        assert.equal(case[4], judge(case[1], case[2], case[3], case[6]))
      end)
    end
  end)

  describe("permits stale in place of an error", function()
    local function left(response, age, request, o)
      local f = read({ cc(response) }, o)
      local asked = request and directives(fields.list { cc(request) }) or nil
      return tonumber(c.wr_freshness_error_left(f, age * S, asked)) / S
    end

    it("for as long as the response, the policy or the client says", function()
      assert.equal(5, left("max-age=60, stale-if-error=10", 65))
      assert.equal(0, left("max-age=60, stale-if-error=10", 70))
      assert.equal(0, left("max-age=60", 61))
      assert.equal(9, left("max-age=60", 61, nil, { sie = 10 }))
      assert.equal(0, left("max-age=60, stale-if-error=0", 61, nil, { sie = 10 }))
      assert.equal(19, left("max-age=60, stale-if-error=10", 61, "stale-if-error=20"))
    end)

    it("never against must-revalidate and its like", function()
      for _, word in ipairs { "must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=1" } do
        assert.equal(0, left("max-age=60, stale-if-error=10, " .. word, 61, "stale-if-error=99",
          { sie = 99 }), word)
      end
    end)
  end)

  it("tells how long it is of use", function()
    local f = read { cc "max-age=60, stale-while-revalidate=5, stale-if-error=9" }
    assert.equal(69, tonumber(c.wr_freshness_useful(f)) / S)
  end)

  it("adds up the largest numbers without overflow", function()
    local f = read({ cc "max-age=4294967296, stale-if-error=4294967296", { "Age", "99999999999" } },
      { delay = 10 })
    local age = c.wr_freshness_age(f, ffi.cast("uint64_t", 2 ^ 62))
    assert.is_true(age > 4e18)
    assert.is_true(c.wr_freshness_error_left(f, age, nil) == 0)
  end)
end)
