--- `scripts/bench gateway` measures what it says: every scenario for a moment, with few
--- connections. What the figures are is not judged here; that all answers were right is.
local process = require "spec.support.process"
local scenarios = require "bench.gateway.scenarios"
local servers = require "bench.gateway.servers"

local BUSTED_SECONDS = 120

local function bench(...)
  local p = process.spawn { "scripts/bench", "gateway", env = { WEIR_PRESET = process.preset() },
    ... }
  local code = p:wait(BUSTED_SECONDS)
  local out, err = p:stdout(), p:stderr()
  p:kill()
  return code, out, err
end

-- The first two figures of a row: of its least and most there is one round only.
local function figures(out, name)
  local line = ("\n" .. out):match("\n  " .. name:gsub("%p", "%%%0") .. " +(%-?%d[^\n]*)")
  assert(line, "no row " .. name .. " in:\n" .. out)
  return tonumber(line:match "^%-?[%d.]+"), tonumber(line:match "^%S+ %b() +(%-?[%d.]+)")
end

describe("scripts/bench gateway", function()
  for _, scenario in ipairs(scenarios) do
    it(("measures %s"):format(scenario.name), function()
      local code, out, err = bench("--connections", "0.02", "1", "0.05", scenario.name)
      assert(code == 0, ("exit code %s\n%s\n%s"):format(tostring(code), out, err))
      assert.equal("", err)
      for _, row in ipairs(scenario.rows) do
        if servers.has(row.kind) then
          local cost, ratio = figures(out, row.name)
          -- Of memory, a few connections may have needed none, and something else have gone.
          assert(cost and ratio and (scenario.idle or cost > 0 and ratio > 0), out)
        end
      end
    end)
  end

  it("names the scenarios when one is unknown", function()
    local code, _, err = bench "tiny"
    assert.equal(1, code)
    assert.is_truthy(err:find("no scenario 'tiny'; there are: small, log, telemetry, 64k", 1,
      true), err)
  end)
end)
