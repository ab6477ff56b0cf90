local c, ffi = require "spec.support.c" ("resilience/adaptive_rules.h")

local function step(rule, limit, baseline, latency, inflight, failed)
  local seen = ffi.new("struct wr_adaptive_seen", latency, baseline, inflight, failed or false)
  return c["wr_adaptive_rules_" .. rule](limit, seen)
end

describe("adaptive rules", function()
  -- research/resilience.md §2.5, golden vectors: limit, baseline, latency, inflight -> limit
  it("vegas makes the published steps", function()
    local cases = {
      { 20, 10, 10, 20, 26 },
      { 20, 10, 11, 20, 21 },
      { 20, 10, 12, 20, 20 },
      { 20, 10, 15, 20, 19 },
      { 20, 10, 12, 5, 20 },
      { 100, 10, 10, 100, 112 },
      { 100, 10, 10.5, 100, 102 },
      { 100, 10, 11.5, 100, 98 },
    }
    for i, case in ipairs(cases) do
      local limit, baseline, latency, inflight, want = unpack(case)
      assert.equal(want, step("vegas", limit, baseline, latency, inflight), "vector " .. i)
    end
    assert.equal(19, step("vegas", 20, 10, 10, 20, true), "failures")
  end)

  it("gradient2 makes the published steps", function()
    local cases = {
      { 20, 10, 10, 20, 20.8 },
      { 50, 10, 15, 50, 50.8 },
      { 50, 10, 20, 50, 48.3 },
      { 50, 10, 30, 50, 45.8 },
      { 50, 10, 100, 20, 50 },
    }
    for i, case in ipairs(cases) do
      local limit, baseline, latency, inflight, want = unpack(case)
      assert.near(want, step("gradient2", limit, baseline, latency, inflight), 1e-9,
        "vector " .. i)
    end
  end)

  it("aimd adds one and takes a tenth", function()
    assert.equal(21, step("aimd", 20, 1, 1, 10))
    assert.equal(20, step("aimd", 20, 1, 1, 9), "less than half of it is used")
    assert.equal(18, step("aimd", 20, 1, 1, 20, true))
    assert.equal(13, step("aimd", 15, 1, 1, 1, true), "13.5 is cut")
  end)

  it("leaves the limit of traffic that does not need it alone", function()
    for _, rule in ipairs { "aimd", "vegas", "gradient2" } do
      for limit = 3, 300, 7 do
        local inflight = math.ceil(limit / 2) - 1
        assert.equal(limit, step(rule, limit, 10, 10, inflight), rule .. " at " .. limit)
      end
    end
  end)
end)
