local c, ffi = require "spec.support.c" ("base/json_reader.h")

ffi.cdef [[
  typedef struct json_t json_t;
  typedef struct { int line, column, position; char source[80], text[160]; } json_error_t;
  json_t *json_loadb(const char *buffer, size_t buflen, size_t flags, json_error_t *error);
  void json_delete(json_t *json);
]]
local jansson = ffi.load "jansson"
local JANSSON_FLAGS = 0x4 + 0x10 + 0x8 -- any value, NUL in strings, all numbers real

local NAMES = { [0] = "wrong", "stopped", "end", "{", "}", "[", "]", "key", "string", "number",
  "true", "false", "null" }

-- All pieces of `text` as words; the last is "end", "stopped" or what is wrong and where.
local function read(text, stop_at)
  local r, stop = ffi.new "struct wr_json_reader", ffi.new "int[1]"
  local line, column = ffi.new "size_t[1]", ffi.new "size_t[1]"
  local pieces = {}
  c.wr_json_reader_init(r, ffi.new("struct wr_str", text, #text), stop)
  repeat
    if stop_at == #pieces then stop[0] = 1 end
    local token = tonumber(c.wr_json_reader_next(r))
    local piece = NAMES[token]
    if piece == "key" or piece == "string" then
      piece = piece .. " " .. ffi.string(r.string.ptr, r.string.len)
    elseif piece == "number" then
      piece = ("%.17g"):format(r.number)
    elseif piece == "wrong" then
      c.wr_json_reader_place(r, line, column)
      piece = ("%d:%d: %s"):format(tonumber(line[0]), tonumber(column[0]), ffi.string(r.why))
    end
    pieces[#pieces + 1] = piece
  until token <= 2
  c.wr_json_reader_fini(r)
  return pieces
end

local function last_of(text)
  local pieces = read(text)
  return pieces[#pieces]
end

describe("json reader", function()
  it("hands out each piece in order", function()
    assert.same({ "{", "key a", "[", "1", "-0.5", "true", "false", "null", "]", "key b", "{", "}",
      "key c", "[", "]", "}", "end" },
      read ' { "a" : [1, -0.5 ,true,false,\tnull],\r\n"b":{},"c":[ ] } ')
    assert.same({ "string x", "end" }, read '"x"')
  end)

  it("undoes escapes, in strings of any length", function()
    local long = ("x"):rep(100000)
    local cases = {
      { [[\"\\\/\b\f\n\r\t]], '"\\/\b\f\n\r\t' }, { [[\u0041\u00e9\u20ac]], "A\u{e9}\u{20ac}" },
      { [[\ud83d\ude00]], "\u{1f600}" }, { [[a\u0000b]], "a\0b" }, { [[\uABcd]], "\u{abcd}" },
      { long, long }, { long .. [[\n]] .. long .. [[\t]], long .. "\n" .. long .. "\t" },
      { ("\u{e9}"):rep(70000), ("\u{e9}"):rep(70000) }, { "", "" },
    }
    for _, case in ipairs(cases) do
      assert.same({ "[", "string " .. case[2], "]", "end" }, read('["' .. case[1] .. '"]'))
      assert.same({ "{", "key " .. case[2], "1", "}", "end" }, read('{"' .. case[1] .. '":1}'))
    end
  end)

  it("reads numbers to the last bit", function()
    local texts = { "0", "-0", "123456789012345", "9007199254740993", "1e3", "1E-2", "0.1",
      "1.7976931348623157e308", "123456789012345678901234567890", "5e-324", "1e-999" }
    for _, text in ipairs(texts) do
      assert.equal(("%.17g"):format(tonumber(text)), read(text)[1], text)
    end
  end)

  it("says what is wrong, and where", function()
    local cases = {
      { "", "1:0: the text ends where a value should be" }, { "[1,]", "1:4: no value begins" },
      { '{"a":\n  nope}', "2:3: no such word" }, { '{"a":1', "1:6: ',' or '}' expected" },
      { "[1 2]", "1:4: ',' or ']' expected" }, { "[1] x", "1:5: more than one value" },
      { '{"a":1,}', "1:8: a key in quotes" }, { "{1:2}", "1:2: a key in quotes" },
      { '{"a" 1}', "1:6: ':' expected" }, { '"\200"', "1:2: unable to decode byte 0xc8" },
      { '"\u{e9}\n"', "1:3: control character" }, { '"a', "1:2: the text ends in a string" },
      { [["\x"]], "1:2: no such escape" }, { [["\u12g4"]], "\\u without four digits" },
      { [["\ud800"]], "half of a surrogate pair" }, { [["\ud800\u0041"]], "half of a surrogate" },
      { [["\ude00"]], "half of a surrogate pair" }, { "01", "not a number" }, { "1.", "not a num" },
      { "-", "not a number" }, { "1e", "not a number" }, { "1e999", "too large for a double" },
      { "[\0]", "1:2: no value begins" }, { "tru", "no such word" }, { "'a'", "no value begins" },
      { ("["):rep(65), "1:65: more than 64 levels deep" },
    }
    for _, case in ipairs(cases) do
      local last = last_of(case[1])
      assert.is_truthy(last:find(case[2], 1, true), ("%q: %s"):format(case[1], last))
    end
  end)

  it("stops between two pieces, and in a long string", function()
    assert.same({ "[", "1", "stopped" }, read("[1,2,3]", 2))
    assert.same({ "stopped" }, read('"x"', 0))
  end)

  -- The same judgement as jansson's on texts that are nearly JSON.
  it("agrees with jansson on what is JSON", function()
    local seed = os.time()
    math.randomseed(seed)
    local alphabet = { "{", "}", "[", "]", ",", ":", '"', '"a"', '"b":', "1", "-2.5e3", "0", "true",
      "null", "\\", "\\u00e9", "\u{e9}", "\200", " ", "\n", ".", "e", "-", '{"k":[1,2]}', '"\\n"' }
    local accepted = 0
    for _ = 1, 20000 do
      local parts = {}
      for i = 1, math.random(1, 8) do parts[i] = alphabet[math.random(#alphabet)] end
      local text = table.concat(parts)
      if math.random(2) == 1 then text = "[" .. text .. "]" end
      local tree = jansson.json_loadb(text, #text, JANSSON_FLAGS, ffi.new "json_error_t")
      local is_json = tree ~= nil
      if is_json then
        accepted = accepted + 1
        jansson.json_delete(tree)
      end
      assert.equal(is_json, last_of(text) == "end", ("%q (seed %d)"):format(text, seed))
    end
    assert.is_true(accepted > 500, accepted)
  end)
end)
