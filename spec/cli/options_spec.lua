--- Options that are right alone and cannot hold together do not load; the message names both.
local docs = require "spec.support.docs"
local process = require "spec.support.process"

-- { what is declared, what is said of it }; the others load.
local WRONG = {
  { "weir.breaker { window = '10s', window_calls = 50 }",
    "breaker: give window or window_calls, not both" },
  { "weir.breaker { open = '10s', open_max = '1s' }",
    "breaker: open_max is 1s, less than open, 10s: it bounds what open grows to" },
  { "weir.breaker { open_max = '1s' }", "open_max is 1s, less than open, 5s" },
  { "weir.bulkhead { max = 5, max_keys = 10 }",
    "bulkhead: max_keys is 10, but there is no key: give key too, or leave max_keys out" },
  { "weir.limiter { rate = 5, max_keys = 10 }", "limiter: max_keys is 10, but there is no key" },
  { "weir.retry { jitter = 'full', ratio = 0.2 }",
    'retry: ratio goes with jitter = "ratio", and jitter is "full"' },
  { "weir.shedder { limit = { 'vegas', min = 10, max = 5 } }",
    "adaptive limit: min is 10, above max, 5" },
  { "weir.shedder { limit = { 'aimd', initial = 50, max = 10 } }",
    "adaptive limit: initial is 50; it must be from min to max, 1 to 10" },
  { "weir.http_cache('c', { targets = { 'Cache Control' } })", "a header's name" },
}

local RIGHT = {
  "weir.breaker { open = '2m' }", -- the default of open_max rises with it
  "weir.bulkhead { max = 5, key = 'client', max_keys = 10 }",
  "weir.limiter { rate = 5, key = 'client', max_keys = 10 }",
  "weir.retry { jitter = 'ratio', ratio = 0.2 }",
  "weir.shedder { limit = { 'gradient2', max = 10 } }", -- below the default of initial
  "weir.shedder { limit = { 'gradient2', min = 50 } }", -- above it
  "weir.http_cache('c', { targets = { 'X-Cache-Control' } })",
}

local FORM = [[
local weir = require "weir"
local one = %s
if one.kind then weir.policy("p", { weir.deadline "9s", one }) end
]]

local function check(declared)
  local path = docs.file(FORM:format(declared))
  local child = process.spawn { process.program "weir", "check", path }
  local code = child:wait(20)
  os.remove(path)
  return code, child:stdout() .. child:stderr()
end

describe("options that cannot hold together", function()
  for _, case in ipairs(WRONG) do
    it("do not load: " .. case[1], function()
      local code, said = check(case[1])
      assert.equal(78, code)
      assert.is_truthy(said:find(case[2], 1, true), said)
      assert.matches("%-%-> [^\n]+:2\n", said)
    end)
  end

  for _, declared in ipairs(RIGHT) do
    it("are not these: " .. declared, function()
      local code, said = check(declared)
      assert.equal(0, code, said)
    end)
  end
end)
