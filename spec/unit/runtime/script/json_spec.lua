local cjson = require "cjson"
local vm = require "spec.support.vm"

-- Runs `text` in the library world with `core` at hand.
local function core(text, ...)
  local frames = { ... }
  frames[#frames + 1] = { "core", "-", "local core = ... " .. text }
  local answers = vm(frames)
  local answer = answers[#answers - 1]
  assert(answer.ok, answer.message)
  return answer.value
end

local function encode(expression)
  return core("local text, why = core.json_encode(" .. expression .. ") return text or why")
end

local function decode_error(json)
  return core(("return (select(2, core.json_decode(%q)))"):format(json))
end

describe("json_encode", function()
  it("writes each kind of value", function()
    local cases = {
      { "nil", "null" }, { "core.json_null", "null" }, { "true", "true" }, { "'a\"\\n\\200'",
        '"a\\"\\n\u{fffd}"' },
      { "1", "1" }, { "-0.5", "-0.5" }, { "2^53", "9007199254740992" }, { "-2^53",
        "-9007199254740992" },
      { "2^60", "1.15292150460685e+18", pattern = true }, { "{}", "{}" }, { "core.json_array {}",
        "[]" }, { "core.json_array()", "[]" },
      { "{ 1, 'a', { b = 2 } }", '[1,"a",{"b":2}]' },
      { "{ a = {}, }", '{"a":{}}' }, { "(function() local t = { 1 } return { t, t } end)()",
        "[[1],[1]]" },
    }
    for _, case in ipairs(cases) do
      local got = encode(case[1])
      if case.pattern then
        assert.equal(2 ^ 60, cjson.decode("[" .. got .. "]")[1])
      else
        assert.equal(case[2], got, case[1])
      end
    end
  end)

  it("lays out with two spaces a level on request", function()
    assert.equal('{\n  "a": [\n    1,\n    "x: {,\\"",\n    {},\n    []\n  ]\n}',
      core [[return core.json_encode({ a = { 1, 'x: {,"', {}, core.json_array() } }, true)]])
  end)

  it("bounds what the layout adds", function()
    assert.matches("longer than script_string allows", core([[
      local t = {}
      for i = 1, 200 do t[i] = {} end
      for _ = 1, 60 do t = { t } end
      assert(#core.json_encode(t) < 1000)
      return (select(2, core.json_encode(t, true)))]], { "limit", "string_bytes", "1000" }))
  end)

  it("names what it cannot write, and where", function()
    local cases = {
      { "{ a = { print or type } }", "a function at a[1]" }, { "type", "a function at the top" },
      { "{ items = { 1, { name = 0/0 } } }", "a number that JSON has no word for",
        at = "at items[2].name" },
      { "{ 1/0 }", "a number that JSON has no word for (inf) at [1]" },
      { "{ 1, 2, x = 3 }", "a list with a key that is no index (a string) at the top" },
      { "{ a = { [1] = 1, [2.5] = 2 } }", "a list with a key that is no index (a number) at a" },
      { "core.json_array { x = 1 }", "a list with a key that is no index (a string) at the top" },
      { "{ [5] = 1 }", "a key that is no string (a number) in an object at the top" },
      { "{ [true] = 1 }", "a key that is no string (a boolean) in an object at the top" },
      { "(function() local t = {} t.a = { t } return t end)()",
        "a table that contains itself at a[1]" },
      { "(function() local t = {} for i = 1, 64 do t = { t } end return t end)()",
        "more than 64 levels deep" },
      { "(function() local t = {} for i = 1, 1e5 do t[i] = 'xxxxxxxxxx' end return t end)()",
        "the text is longer than script_string allows (1000000)" },
    }
    for _, case in ipairs(cases) do
      local got = core("local text, why = core.json_encode(" .. case[1] .. ") return why or text",
        { "limit", "string_bytes", "1000000" })
      assert.equal(case[2], got:sub(1, #case[2]), case[1])
      assert.is_truthy(not case.at or got:find(case.at, 1, true), got)
    end
  end)
end)

describe("json_decode", function()
  it("reads what it wrote, with null and empty arrays kept apart", function()
    local json = '{"a":[],"b":{},"c":null,"d":[1,null,"x"],"e":1.5,"f":-3,"g":"\\u00e9\\u0000"}'
    assert.same(cjson.decode(json),
      cjson.decode(core(("return core.json_encode(core.json_decode(%q))"):format(json))))
    assert.equal("[]", core "return core.json_encode(core.json_decode '[]')")
    assert.equal("{}", core "return core.json_encode(core.json_decode '{}')")
    assert.equal("[]",
      core "local t = core.json_decode '[1]' t[1] = nil return core.json_encode(t)")
    assert.is_true(core "return core.json_decode('null') == core.json_null")
    assert.is_false(core "return core.json_decode 'false'")
  end)

  it("keeps whole numbers exact up to 2^53", function()
    assert.is_true(core "return core.json_decode '9007199254740991' == 2^53 - 1")
    assert.equal("9007199254740991",
      core "return core.json_encode(core.json_decode '9007199254740991')")
  end)

  it("says line, column and cause of what is wrong", function()
    local cases = {
      { '{"a":\n  nope}', "^2:%d+: " }, { "", "^1:0: " }, { "[1,]", "^1:%d+: " }, { '{"a":1',
        "^1:%d+: " }, { "[1] x", "^1:%d+: " },
      { '"\200"', "^1:%d+: unable to decode byte 0xc8" }, { "1e999", "^1:%d+: " }, { '{"a":1,}',
        "^1:%d+: " }, { "NaN", "^1:%d+: " },
      { ("["):rep(65), "^1:65: more than 64 levels deep$" }, { "\n" .. ("["):rep(1e6),
        "^2:65: more than 64 levels deep$" },
      { "[" .. ("1,"):rep(500001) .. "1]", "^1:%d+: more than 500000 values$" },
    }
    for _, case in ipairs(cases) do assert.matches(case[2], decode_error(case[1])) end
  end)

  it("reads sixty-four levels and refuses one more", function()
    assert.equal(("["):rep(64) .. ("]"):rep(64),
      core(("return core.json_encode(core.json_decode(%q))"):format(("["):rep(64)
        .. ("]"):rep(64))))
  end)

  it("refuses a text above the string limit", function()
    assert.equal("the text is 1003 bytes long, script_string allows 1000",
      core("return (select(2, core.json_decode('[1' .. (' '):rep(500) .. (' '):rep(500) .. ']')))",
        { "limit", "string_bytes", "1000" }))
  end)

  it("agrees with cjson on random documents", function()
    local seed = os.time()
    math.randomseed(seed)
    local function document(depth)
      local kind = math.random(depth > 4 and 5 or 7)
      if kind == 1 then return math.random(-1e6, 1e6) end
      if kind == 2 then return math.random() end
      if kind == 3 then return math.random(2) == 1 end
      if kind == 4 then return cjson.null end
      if kind == 5 then return ("x\"\\/\n\t\u{e9}"):sub(1, math.random(0, 6)) end
      local t = {}
      for i = 1, math.random(1, 5) do t[kind == 6 and i or "k" .. i] = document(depth + 1) end
      return t
    end
    for _ = 1, 20 do
      local json = cjson.encode { document(0) }
      local got = core(("return core.json_encode(core.json_decode(%q))"):format(json))
      assert.same(cjson.decode(json), cjson.decode(got), "seed " .. seed)
    end
  end)
end)
