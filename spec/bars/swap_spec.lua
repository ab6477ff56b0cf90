--- A bundle of 200 routes is loaded and goes live while requests are served: for how long do the
--- workers' loops stand still?
local gateway = require "spec.support.gateway"
local load = require "spec.support.load"
local wait = require "spec.support.wait"

local ROUTES, RELOADS = 200, load.is_long and 100 or 10

local function bundle(version)
  local lines = { 'local weir = require "weir"', "-- " .. version,
    'weir.listen "127.0.0.1:$(port)"',
    'local up = weir.upstream("o", { endpoints = { "http://127.0.0.1:1" } })', "local g = {}",
    'weir.route("GET /", function() return "fine" end)' }
  for i = 1, ROUTES do
    lines[#lines + 1] = ([[g[%d] = weir.policy("p%d", { weir.deadline "5s", weir.retry { max = 2 },
      weir.breaker { failure_rate = 0.5 }, weir.bulkhead { max = 10 }, weir.timeout "1s" })
    weir.route("GET /r%d/:id", function(req)
      return weir.ladder {
        { "fresh", function() return g[%d](function() return up:forward(req) end) end },
        { "static", function() return weir.json(200, { n = %d }) end },
      }
    end)]]):format(i, i, i, i, i)
  end
  return table.concat(lines, "\n")
end

describe("a bundle of 200 routes", function()
  local g

  setup(function() g = gateway.start { workers = 2, log_level = "warn", bundle(0) } end)
  teardown(function() g:stop() end)

  -- How many of a histogram's observations took at most `le` seconds, and how many there are.
  local function within(name, le)
    local metrics = g:metrics()
    local at_most, all = 0, 0
    for bucket, count in metrics:gmatch(name .. '_bucket{le="([^"]*)"} (%d+)') do
      if bucket == le then at_most = tonumber(count) end
      if bucket == "+Inf" then all = tonumber(count) end
    end
    local sum = tonumber(metrics:match(name .. "_sum (%S+)"))
    return at_most, all, sum
  end

  it("is loaded in slices between requests, and swapped in one pointer", function()
    local w = load.steady(g.port, load.is_long and 30 or 5)
    local slowest = 0
    for i = 1, RELOADS do
      local verdict = g:reload { bundle(i) }
      assert.equal("live", verdict.result, verdict.message)
      slowest = math.max(slowest, verdict.took_ms)
    end
    local r = w:result()
    local quick_swaps, swaps, swapped = within("weir_policy_swap_seconds", "0.001")
    local quick, slices, sliced = within("weir_policy_load_seconds", "0.001")
    load.report("swap", ("%d reloads of %d routes: %d of %d swaps within 1 ms (mean %.3f ms), %d "
      .. "of %d slices (mean %.3f ms), slowest reload %.0f ms; %d requests at 2000/s, p99 %.1f ms")
      :format(RELOADS, ROUTES, quick_swaps, swaps, swapped / swaps * 1e3, quick, slices,
        sliced / slices * 1e3, slowest, r.requests, r.p99_ms))
    assert.equal(0, r.bad + r.errors, r.output)
    -- Both workers swapped each time, and loaded in many slices, not in one.
    wait.for_("all swaps to be counted", function()
      local _, all = within("weir_policy_swap_seconds", "0.001")
      return all == 2 * (RELOADS + 1)
    end)
    assert.is_true(slices > 10 * swaps, slices .. " slices of " .. swaps .. " loads")
    -- A swap is a pointer and thresholds: less than any slice of the load.
    assert.is_true(swapped / swaps < sliced / slices, swapped / swaps)
  end)
end)
