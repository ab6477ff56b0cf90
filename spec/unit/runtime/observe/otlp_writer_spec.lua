local c, ffi = require "spec.support.c" ("observe/otlp_writer.h")
local fields = require "spec.support.fields"
local json = require "cjson"

-- Both forms of what `fill` writes.
local function both(fill)
  local w = ffi.new("struct wr_otlp_writer")
  local function write(is_json)
    local _, text = fields.into_buf(65536, function(buf)
      c.wr_otlp_writer_init(w, buf, is_json)
      c.wr_otlp_writer_item(w, 1)
      fill(w)
      c.wr_otlp_writer_item_end(w)
      return c.wr_otlp_writer_is_whole(w)
    end)
    return text
  end
  local hex = write(false):gsub(".", function(ch) return ("%02x"):format(ch:byte()) end)
  return hex:sub(5), json.decode(write(true))
end

-- That both mean the same the specs of gateway/otlp_*_spec.lua find out, by the schema.
describe("OTLP's writer", function()
  before_each(fields.clear)

  it("writes ids as bytes, and in JSON as digits", function()
    local bytes, value = both(function(w)
      c.wr_otlp_writer_id(w, 2, "spanId", "00f067aa0ba902b7")
    end)
    assert.equal("120800f067aa0ba902b7", bytes)
    assert.equal("00f067aa0ba902b7", value.spanId)
  end)

  it("writes 64 bits as text in JSON", function()
    local bytes, value = both(function(w)
      c.wr_otlp_writer_fixed64(w, 1, "a", 18446744073709551615ULL)
    end)
    assert.equal("09" .. ("ff"):rep(8), bytes)
    assert.equal("18446744073709551615", value.a)
    bytes, value = both(function(w)
      c.wr_otlp_writer_attributes(w, 9)
      c.wr_otlp_writer_attribute_int(w, "k", -1)
      c.wr_otlp_writer_attributes_end(w)
    end)
    assert.equal("4a100a016b120b18" .. ("ff"):rep(9) .. "01", bytes)
    assert.same({ { key = "k", value = { intValue = "-1" } } }, value.attributes)
  end)

  it("writes numbers that JSON has not as words", function()
    for text, number in pairs { NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge } do
      local _, value = both(function(w)
        c.wr_otlp_writer_double(w, 1, "a", number)
        c.wr_otlp_writer_doubles(w, 2, "b", ffi.new("double[2]", number, 0.5), 2)
      end)
      assert.equal(text, value.a)
      assert.same({ text, 0.5 }, value.b)
    end
  end)
end)
