local vm = require "spec.support.vm"

local function load(text, name)
  return vm { { "load", name or "policies/pay.lua", text } }[1]
end

local function place(answer)
  return ("%s:%d: %s"):format(answer.file, answer.line, answer.message)
end

describe("a state", function()
  it("runs a chunk and gives its result", function()
    assert.same({ a = 1 }, load "return { a = 1 }".value)
  end)

  it("starts in less than half a mebibyte and gives all of it back", function()
    local answers = vm { { "load", "a.lua", "return 1" }, { "reset" } }
    assert.is_true(answers[1].used < 512 * 1024, answers[1].used .. " bytes")
    assert.equal(0, answers[2].used)
  end)

  it("says file, line and cause of whatever a file does wrong", function()
    local cases = {
      { "local x\nx = = 1", "policies/pay.lua:2: unexpected symbol near '='" },
      { "local x\nerror 'no'", "policies/pay.lua:2: no" },
      { "local x\nerror('no', 0)", "policies/pay.lua:2: no" },
      { "local x\nx.y = 1", "policies/pay.lua:2: attempt to index local 'x' (a nil value)" },
      { "local x\nerror({ kind = 'timeout', message = 'too late' })",
        "policies/pay.lua:2: timeout: too late" },
      { "local x\nerror(42)", "policies/pay.lua:2: 42" },
      { "\n\nwhile true do end",
        "policies/pay.lua:3: ran longer than script_load_time allows (500ms)" },
      { "local x\nx = ('x'):rep(1e9)",
        "policies/pay.lua:2: "
          .. "string.rep: 1000000000 bytes asked for, script_string allows 8388608" },
      { "local x\nmath.random(0)",
        "policies/pay.lua:2: bad argument #1 to 'random' (interval is empty)" },
      { "local s = require 'weir.schema'\nlocal retry = s.new('retry', { max = s.any() })\n"
        .. "local function f(o) local checked = retry:check(o) return checked end\nf { mx = 1 }",
        "policies/pay.lua:4: retry: unknown option 'mx' (did you mean 'max'?)" },
    }
    for _, case in ipairs(cases) do
      local answer = load(case[1])
      assert.is_false(answer.ok)
      assert.equal(case[2], place(answer))
      -- The same of what another process has compiled.
      local compiled = vm { { "compiled" }, { "load", "policies/pay.lua", case[1] } }[1]
      assert.equal(case[2], place(compiled))
      assert.equal(answer.traceback, compiled.traceback)
    end
  end)

  it("gives the traceback of a failure, innermost frame first", function()
    local answer = load "local function f() error 'no' end\nlocal function g() f() end\ng()\n"
    assert.equal("C: in error\npolicies/pay.lua:1: in f\npolicies/pay.lua:2: in g\n"
      .. "policies/pay.lua:3: in main chunk",
      answer.traceback)
  end)

  it("interrupts a script above its memory, and works on when that is released", function()
    local answers = vm {
      { "limit", "soft_bytes", "4000000" },
      { "load", "a.lua", "local t = {} while true do t[#t + 1] = {} end" },
      { "load", "b.lua", "local t = {} for i = 1, 10000 do t[i] = {} end return #t" },
    }
    assert.equal("used more memory than script_memory allows (4000000 bytes)", answers[1].message)
    assert.is_true(answers[1].peak < 5000000, answers[1].peak .. " bytes at the peak")
    assert.equal(10000, answers[2].value)
  end)

  it("blames the next file for its own fault only", function()
    local answers = vm {
      { "limit", "soft_bytes", "4000000" }, { "limit", "load_ms", "20000" },
      { "load", "a.lua", "local t = {} while true do t[#t + 1] = {} end" },
      { "load", "b.lua", "local a\nerror 'no'" },
    }
    assert.equal("b.lua:2: no", place(answers[2]))
  end)

  it("collects before it takes garbage for memory in use", function()
    local answer = vm {
      { "limit", "soft_bytes", "8000000" }, { "limit", "load_ms", "20000" },
      { "load", "a.lua", [[
        local keep = {}
        for i = 1, 50000 do keep[i] = { i } end
        for i = 1, 500000 do local garbage = { i } end
        return #keep]] },
    }[1]
    assert.equal(50000, answer.value, answer.message)
    assert.is_true(answer.relieved > 0, "the soft cap was never reached: peak " .. answer.peak)
  end)

  it("refuses to wait while a file is loaded, wherever the file tries to", function()
    local naps = {
      "nap()", "pcall(nap)", "xpcall(nap, print)", "xpcall(error, nap)", "('x'):gsub('x', nap)",
      "table.sort({ 2, 1 }, nap)", "tostring(setmetatable({}, { __tostring = nap }))",
      "('%s'):format(setmetatable({}, { __tostring = nap }))",
        "local _ = setmetatable({}, { __index = nap }).x",
      "local _ = setmetatable({}, { __concat = nap }) .. 'x'", "for _ in nap do end",
        "require 'sleepy'",
      "print(setmetatable({}, { __tostring = nap }))",
        "table.sort({ 2, 1, 3 }, function() return nap() end)",
    }
    for _, nap in ipairs(naps) do
      local answers = vm {
        { "module", "sleepy", "require 'weir.schema'.nap()" },
        { "core", "-", "local core = ... require('weir.schema').nap = core.nap" },
        { "load", "a.lua", "local nap = require 'weir.schema'.nap;\n" .. nap },
      }
      assert.equal("nothing may wait while a file is loaded", answers[2].message, nap)
      assert.equal(nap:find "sleepy" and "sleepy.lua" or "a.lua", answers[2].file, nap)
    end
  end)

  it("can be interrupted from another thread, whatever runs in it, and works on", function()
    local spins = {
      "while true do end", "while true do pcall(function() while true do end end) end",
      "local function r(n) while true do pcall(r, n) end end r(1)",
      "local function spin() while true do end end xpcall(spin, spin)",
      "while true do pcall(string.rep, 'x', 1e9) end",
        "table.sort({ 2, 1 }, function() while true do end end)",
    }
    for _, spin in ipairs(spins) do
      local answers = vm {
        { "load", "a.lua", "return function()\n" .. spin .. "\nend" }, { "race" }, { "load",
          "b.lua", "return 1" },
      }
      assert.equal("ran longer than script_burst allows (50ms) without waiting", answers[2].message,
        spin)
      assert.equal("a.lua", answers[2].file, spin)
      assert.equal(1, answers[3].value)
    end
  end)

  it("refuses to start with too little memory", function()
    local answer = vm { { "limit", "soft_bytes", "1000" }, { "load", "a.lua", "return 1" } }[1]
    assert.equal("script_memory is 1000 bytes, a state needs at least 1048576", answer.message)
  end)

  it("draws math.random from its owner", function()
    local text = "local t = {} for i = 1, 200 do t[i] = math.random(3, 5) end return t"
    local one, two = load(text).value, load(text).value
    assert.same(one, two)
    local seen = {}
    for _, n in ipairs(one) do seen[n] = true end
    assert.same({ [3] = true, [4] = true, [5] = true }, seen)
  end)
end)

describe("pcall and xpcall", function()
  it("return what Lua's return", function()
    assert.same({ true, 1, 2 }, load "return { pcall(function(...) return ... end, 1, 2) }".value)
    assert.same({ false, "e" }, load "return { pcall(error, 'e') }".value)
    assert.same({ false, "<e>" },
      load "return { xpcall(error, function(e) return '<' .. e .. '>' end, 'e') }".value)
    assert.same({ true, 7 }, load "return { xpcall(function(x) return x end, error, 7) }".value)
  end)

  it("release what the task opened inside, only when an error unwinds", function()
    local answer = load [[
      pcall(function() end)                              -- mark 0
      pcall(function() pcall(error) end)                 -- marks 1 and 2
      pcall(function() pcall(function() end) error() end) -- marks 3 and 4
      xpcall(error, function() end)                      -- mark 5
    ]]
    assert.equal("unwind 2\nunwind 3\nunwind 5\n", answer.printed)
  end)

  it("may nest a hundred deep, again and again", function()
    assert.same({ true, true }, load [[
      local function down(n) return n == 0 or select(2, pcall(down, n - 1)) end
      return { down(100), down(100) }]].value)
    assert.matches("pcall is nested deeper than 100 levels", load [[
      local function down(n)
        if n == 0 then return end
        local ok, e = pcall(down, n - 1)
        if not ok then error(e, 0) end
      end
      down(101)]].message)
  end)
end)

describe("require", function()
  it("loads a module of the bundle once, in the policies' world", function()
    local answer = vm {
      { "module", "lib.tariffs", "print 'loading' return { n = 1, dump = tostring(string.dump) }" },
      { "load", "a.lua", [[
        local a, b = require "lib.tariffs", require "lib.tariffs"
        a.n = a.n + 1
        return { b.n, b.dump }]] },
    }[1]
    assert.same({ 2, "nil" }, answer.value)
    assert.equal("loading\n", answer.printed)
  end)

  it("names the cycle when modules require each other", function()
    local answer = vm {
      { "module", "a", "require 'b'" }, { "module", "b", "require 'c'" }, { "module", "c",
        "\nrequire 'b'" },
      { "load", "main.lua", "require 'a'" },
    }[1]
    assert.equal("c.lua:2: circular require: b -> c -> b", place(answer))
  end)

  it("says what it looked for", function()
    assert.equal("policies/pay.lua:2: no module 'lib.x' in the bundle: "
      .. "looked for lib/x.lua and lib/x/init.lua",
      place(load "local a\nlocal b = require 'lib.x'"))
    assert.equal("policies/pay.lua:1: no library module 'weir.htp' (did you mean 'weir.http'?)",
      place(load "local a = require 'weir.htp'"))
  end)

  it("names the place inside a module that does not parse or raises, each time anew", function()
    local answers = vm {
      { "module", "bad", "local x\nx = = 1" }, { "module", "worse", "\n\nerror 'no'" },
      { "load", "a.lua", "require 'bad'" }, { "load", "b.lua", "require 'worse'" }, { "load",
        "c.lua", "require 'worse'" },
    }
    assert.equal("bad.lua:2: unexpected symbol near '='", place(answers[1]))
    assert.equal("worse.lua:3: no", place(answers[2]))
    assert.equal("worse.lua:3: no", place(answers[3]))
  end)

  it("gives read-only views of the library that stay the same table", function()
    assert.same({ true, true }, load [[
      local a, b = require "weir.schema", require "weir.schema"
      return { a == b, a.integer == b.integer }]].value)
  end)
end)

describe("sorting and joining", function()
  it("sort as Lua does, and keep equal elements in order", function()
    assert.same({ 1, 2, 3 }, load "local t = { 3, 1, 2 } table.sort(t) return t".value)
    assert.same({ "A", "a", "ab", "b" },
      load "local t = { 'b', 'ab', 'A', 'a' } table.sort(t) return t".value)
    assert.same({ "b1", "b2", "a1", "a2" }, load [[
      local t = { "a1", "b1", "a2", "b2" }
      table.sort(t, function(x, y) return x:sub(1, 1) > y:sub(1, 1) end)
      return t]].value)
  end)

  it("agree with LuaJIT's own on random lists", function()
    local seed = os.time()
    local answer = vm { { "core", "-", ([[
      local ours = require("weir.core.lists").library
      math.randomseed(%d)
      local function descending(a, b) return a > b end
      for round = 1, 500 do
        local a, b = {}, {}
        for i = 1, math.random(0, 40) do
          a[i] = round %% 2 == 0 and math.random(20) or tostring(math.random(200))
          b[i] = a[i]
        end
        local before = math.random(2) == 1 and descending or nil
        table.sort(a, before)
        ours.sort(b, before)
        if table.concat(a, " ") ~= ours.concat(b, " ") then return table.concat(b, " ") end
        local at, v = math.random(#a + 1), math.random(9)
        table.insert(a, at, v) ours.insert(b, at, v) table.insert(a, v) ours.insert(b, v)
        if table.concat(a, " ") ~= ours.concat(b, " ") then return table.concat(b, " ") end
      end
      return ""]]):format(seed) } }[1]
    assert.equal("", answer.value, "seed " .. seed)
  end)
end)
