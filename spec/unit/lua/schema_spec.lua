-- The schema runs here in plain LuaJIT: `weir.core` is a fake with the functions it needs.
local units = { ns = 1, us = 1e3, ms = 1e6, s = 1e9, m = 6e10 }

package.path = "lua/?.lua;" .. package.path
package.preload["weir.core"] = function()
  return {
    duration = function(value)
      if type(value) == "number" then return value >= 0 and value * 1e9 or nil end
      local n, unit = tostring(value):match "^(%d+)(%a+)$"
      return n and units[unit] and n * units[unit] or nil
    end,
    is_loading = function() return true end,
    duration_text = function(ns) return ns % 1e9 == 0 and ns / 1e9 .. "s" or ns / 1e6 .. "ms" end,
  }
end
local schema = require "weir.schema"

-- A module of the library with one constructor; the error must name the line that calls it.
local function constructor(...)
  local options = schema.new(...)
  return function(given)
    local checked = options:check(given)
    return checked
  end
end

local retry = constructor("retry", {
  max = schema.integer { min = 0, max = 10, default = 2 },
  backoff = schema.duration { min = "1ms", max = "60s", default = "50ms" },
  jitter = schema.enum { "full", "none", "equal", default = "full" },
  ratio = schema.ratio {},
  on = schema.list(schema.string()),
  log = schema.boolean { default = true },
  decide = schema.func {},
  body = schema.size { max = "1MiB" },
  pool = schema.new("pool", { max = schema.integer { min = 1 },
    idle = schema.duration { default = "4s" } }),
  tags = schema.map(schema.number { max = 5 }),
  mode = schema.either { schema.enum { "open", "closed" }, schema.func() },
  name = schema.string { max = 8, pattern = "^%l+$",
    what = "a lower-case word of at most 8 letters" },
}, { positional = "max" })

local function complaint(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return (message:gsub("^[^:]*:%d+: ", ""))
end

describe("schema", function()
  it("tells what was said, defaults included, in the author's words", function()
    local options = schema.new("cache", {
      ttl = schema.duration { default = "1m" },
      key = schema.any {},
      tags = schema.list(schema.string {}),
      origin = schema.string {},
    })
    assert.same({ ttl = "1m" }, schema.said(options:check {}))
    local said = schema.said(options:check { ttl = "5s", key = print, tags = { "a", "b" },
      origin = "http://me:secret@host/x" })
    assert.same({ ttl = "5s", key = "a function", tags = "{a, b}", origin = "http://***@host/x" },
      said)
    local deep = { a = { b = { c = { d = { e = 1 } } } } }
    assert.equal("{a={b={c={d={…}}}}}", schema.said(options:check { key = deep }).key)
    assert.is_true(#schema.said(options:check { key = ("x"):rep(1000) }).key < 210)
    assert.same({}, schema.said {})
  end)

  it("fills in defaults and converts units", function()
    assert.same({ max = 2, backoff = 50e6, jitter = "full", log = true }, retry())
    assert.same({ max = 3, backoff = 1.5e9, jitter = "none", log = false, ratio = 0.5,
      on = { "reset" },
      body = 65536, pool = { max = 8, idle = 4e9 }, tags = { a = 1 }, mode = "open", name = "abc" },
      retry { max = 3, backoff = 1.5, jitter = "none", log = false, ratio = 0.5, on = { "reset" },
        body = "64KiB", pool = { max = 8 }, tags = { a = 1 }, mode = "open", name = "abc" })
  end)

  it("takes the positional value in the place of a table", function()
    assert.equal(5, retry(5).max)
  end)

  it("never changes or keeps the author's table", function()
    local given = { on = { "reset" } }
    local read = retry(given)
    assert.same({ on = { "reset" } }, given)
    assert.are_not.equal(given.on, read.on)
  end)

  it("says the key, the bound and the value when something does not fit", function()
    local cases = {
      { { max_atempts = 5 }, "unknown option 'max_atempts' (did you mean 'max'?)" },
      { { bakcoff = 5 }, "unknown option 'bakcoff' (did you mean 'backoff'?)" },
      { { xyzzy = 5 },
        "unknown option 'xyzzy' (there are: backoff, body, decide, jitter, log, max, mode, "
        .. "name, on, pool, ratio, tags)" },
      { { "x" }, "unknown option '[1]' (there are: backoff, body, decide, jitter, log, max, mode, "
        .. "name, on, pool, ratio, tags)" },
      { { max = 11 }, "option 'max' must be an integer from 0 to 10, got 11" },
      { { max = 1.5 }, "option 'max' must be an integer from 0 to 10, got 1.5" },
      { { max = 0 / 0 }, "option 'max' must be an integer from 0 to 10, got nan" },
      { { max = "3" }, "option 'max' must be an integer from 0 to 10, got '3'" },
      { "three", "option 'max' must be an integer from 0 to 10, got 'three'" },
      { { backoff = "5 parsecs" },
        "option 'backoff' must be a duration like \"250ms\" from 1ms to 60s, "
        .. "got '5 parsecs'" },
      { { backoff = "2m" },
        "option 'backoff' must be a duration like \"250ms\" from 1ms to 60s, got '2m'" },
      { { jitter = "fulll" }, "option 'jitter' must be one of 'full', 'none', 'equal', got 'fulll' "
        .. "(did you mean 'full'?)" },
      { { jitter = 1 }, "option 'jitter' must be one of 'full', 'none', 'equal', got 1" },
      { { ratio = 2 }, "option 'ratio' must be a ratio from 0 to 1, got 2" },
      { { on = "reset" }, "option 'on' must be a list, each a string, got 'reset'" },
      { { on = { "a", 2 } }, "option 'on[2]' must be a string, got 2" },
      { { on = { x = "a" } }, "option 'on' must be a list, each a string, got a table" },
      { { log = "yes" }, "option 'log' must be true or false, got 'yes'" },
      { { decide = 1 }, "option 'decide' must be a function, got 1" },
      { { body = "2MiB" },
        "option 'body' must be a size like \"64KiB\" of at most 1MiB, got '2MiB'" },
      { { body = "64kb" },
        "option 'body' must be a size like \"64KiB\" of at most 1MiB, got '64kb'" },
      { { pool = { max = 0 } }, "option 'pool.max' must be an integer of at least 1, got 0" },
      { { pool = { mx = 0 } }, "unknown option 'pool.mx' (did you mean 'max'?)" },
      { { pool = 3 }, "option 'pool' must be a table of options, got 3" },
      { { tags = { a = 9 } }, "option 'tags.a' must be a number of at most 5, got 9" },
      { { mode = "ajar" },
        "option 'mode' must be one of 'open', 'closed', or a function, got 'ajar'" },
      { { name = "No%d" },
        "option 'name' must be a lower-case word of at most 8 letters, got 'No%d'" },
      { function() end, "option 'max' must be an integer from 0 to 10, got a function" },
    }
    for _, case in ipairs(cases) do
      assert.equal("retry: " .. case[2], complaint(retry, case[1]))
    end
  end)

  it("names the line of the author, not its own", function()
    local ok, message = pcall(function()
      local _ = retry { max = 99 }
    end)
    local line = debug.getinfo(1, "l").currentline - 2
    assert.is_false(ok)
    assert.matches("schema_spec%.lua:" .. line .. ": retry: ", message)
  end)

  it("asks for required options", function()
    local upstream = constructor("upstream", { endpoints = schema.list(schema.string(), { min = 1,
      required = true }) })
    assert.equal("upstream: option 'endpoints' is required: "
      .. "a list of at least 1 elements, each a string",
      complaint(upstream, {}))
    assert.equal("upstream: the options must be a table, got 'x'", complaint(upstream, "x"))
    assert.equal("upstream: option 'endpoints' must be "
      .. "a list of at least 1 elements, each a string, got a table",
      complaint(upstream, { endpoints = {} }))
  end)

  it("refuses a definition whose own default does not fit", function()
    assert.equal("schema: the default 5 is not an integer of at most 3",
      complaint(schema.integer, { max = 3, default = 5 }))
  end)

  it("lists its options for documentation, sorted", function()
    local s = schema.new("x", { b = schema.ratio { default = 0.5, doc = "B." },
      a = schema.any { required = true } })
    assert.same({ { key = "a", what = "a value", required = true },
      { key = "b", what = "a ratio from 0 to 1", default = 0.5, required = false, doc = "B." } },
        s:rows())
  end)
end)
