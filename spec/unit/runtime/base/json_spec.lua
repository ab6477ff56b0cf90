local c, ffi = require "spec.support.c" ("base/json.h")
local json = require "cjson"

describe("json", function()
  local out, j = ffi.new "struct wr_buf", ffi.new "struct wr_json"

  local function written(write)
    c.wr_buf_init(out, 65536)
    c.wr_json_init(j, out)
    write()
    assert.is_false(j.failed)
    local text = out.len > 0 and ffi.string(out.data + out.start, out.len) or ""
    c.wr_buf_fini(out)
    return text
  end

  local function number(value) return written(function() c.wr_json_num(j, value) end) end
  local function text(s)
    return written(function() c.wr_json_str(j, ffi.new("struct wr_str", s, #s)) end)
  end

  it("writes numbers so that they read back the same, short where they are", function()
    math.randomseed(7)
    local values = { 0, 1, 0.5, 0.001, 0.01, 0.1, 12.05, 1.005, 999999999999.999, 1e12, 1e15, 1e300,
      0.0005, 1e-5, 1 / 3, -0.25, -3, 2 ^ 53, 123456.789, 0.1 + 0.2, 4.35, 1.15, 0.07 }
    for _ = 1, 5000 do
      values[#values + 1] = math.random(0, 10 ^ 9) / 1000
      values[#values + 1] = math.random() * 10 ^ math.random(-12, 14)
    end
    for _, value in ipairs(values) do
      local short = ("%.15g"):format(value)
      local got = number(value)
      assert.equal(value, tonumber(got))
      if tonumber(short) == value then assert.equal(short, got) end
    end
    assert.equal("null", number(1 / 0))
    assert.equal("null", number(0 / 0))
    assert.equal("-0", number(-0.0))
  end)

  it("writes texts so that they read back the same", function()
    for _, s in ipairs { "", "plain", 'say "no"', "back\\slash", "\n\t\r\b\f", "\1\31", "é ü 漢 😀",
      "mixed é\n\"", ("x"):rep(5000) } do
      assert.equal(s, json.decode("[" .. text(s) .. "]")[1])
    end
    assert.equal('"\\u007f"', text "\127")
    assert.equal('"a\239\191\189b"', text "a\255b")
  end)

  it("puts commas between, and names before", function()
    assert.equal('{"a":1,"b":{"c":[1,true,null]},"d\\"":"x"}', written(function()
      c.wr_json_object(j)
      c.wr_json_field_uint(j, "a", 1)
      c.wr_json_key(j, "b")
      c.wr_json_object(j)
      c.wr_json_key(j, "c")
      c.wr_json_array(j)
      c.wr_json_int(j, 1)
      c.wr_json_bool(j, true)
      c.wr_json_null(j)
      c.wr_json_array_end(j)
      c.wr_json_object_end(j)
      c.wr_json_field_cstr(j, 'd"', "x")
      c.wr_json_object_end(j)
    end))
  end)

  it("writes members by constant keys as the others", function()
    local function slice(s) return ffi.new("struct wr_str", s, #s) end
    assert.equal('{"a":"x","b":"say \\"no\\"","n":null,"u":18446744073709551615,"d":0.25,"i":null}',
      written(function()
        c.wr_json_object(j)
        c.wr_json_member_str(j, slice "a", slice "x")
        c.wr_json_member_str(j, slice "b", slice 'say "no"')
        c.wr_json_member_str(j, slice "n", ffi.new "struct wr_str")
        c.wr_json_member_uint(j, slice "u", 18446744073709551615ULL)
        c.wr_json_member_num(j, slice "d", 0.25)
        c.wr_json_member_num(j, slice "i", 1 / 0)
        c.wr_json_object_end(j)
      end))
  end)

  it("fails when there is no room, and stays so", function()
    c.wr_buf_init(out, 8)
    c.wr_json_init(j, out)
    c.wr_json_cstr(j, "much too long")
    assert.is_true(j.failed)
    c.wr_buf_fini(out)
  end)
end)
