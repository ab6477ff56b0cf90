local c, ffi = require "spec.support.c" ("base/protobuf.h")
local fields = require "spec.support.fields"

-- What `fill` writes, in hexadecimal.
local function written(fill, max)
  local p = ffi.new("struct wr_protobuf")
  local _, text = fields.into_buf(max or 1024 * 1024, function(buf)
    c.wr_protobuf_init(p, buf)
    fill(p)
  end)
  return (text:gsub(".", function(ch) return ("%02x"):format(ch:byte()) end)), p.failed
end

-- Expected bytes are those of the documentation (protobuf.dev, "Encoding") or reckoned by hand.
describe("protobuf", function()
  before_each(fields.clear)

  it("writes varints", function()
    assert.equal("089601", written(function(p) c.wr_protobuf_varint(p, 1, 150) end))
    assert.equal("0800", written(function(p) c.wr_protobuf_varint(p, 1, 0) end))
    assert.equal("8001" .. ("ff"):rep(9) .. "01",
      written(function(p) c.wr_protobuf_varint(p, 16, 0xffffffffffffffffULL) end))
  end)

  it("writes packed varints", function()
    assert.equal("3206038e029ea705", written(function(p)
      c.wr_protobuf_varints(p, 6, ffi.new("uint64_t[3]", { 3, 270, 86942 }), 3)
    end))
  end)

  it("writes fixed values with the least byte first", function()
    assert.equal("0d04030201", written(function(p) c.wr_protobuf_fixed32(p, 1, 0x01020304) end))
    assert.equal("390807060504030201",
      written(function(p) c.wr_protobuf_fixed64(p, 7, 0x0102030405060708ULL) end))
    assert.equal("09000000000000f03f", written(function(p) c.wr_protobuf_double(p, 1, 1) end))
  end)

  it("writes bytes and text, whose wrong bytes are replaced", function()
    local function text(s)
      return written(function(p) c.wr_protobuf_text(p, 2, fields.slice(s)) end)
    end
    assert.equal("120774657374696e67", text "testing")
    assert.equal("1200", text "")
    assert.equal("1204c3bcc39f", text "üß")
    assert.equal("120561efbfbd62", text "a\200b")
    assert.equal("1206efbfbdefbfbd", text "\255\254")
    assert.equal("120461efbfbd", text "a\195", "a sequence that is cut")
    assert.equal("1202c880",
      written(function(p) c.wr_protobuf_bytes(p, 2, fields.slice "\200\128") end))
  end)

  it("nests messages, with lengths as short as they can be", function()
    assert.equal("1a03089601", written(function(p)
      c.wr_protobuf_message(p, 3)
      c.wr_protobuf_varint(p, 1, 150)
      c.wr_protobuf_message_end(p)
    end))
    local long = ("x"):rep(300)
    local hex = ("78"):rep(300)
    -- 300 = ac02; the inner field is 303 bytes, the message around it 306, with its tag and length.
    assert.equal("0ab20212af020aac02" .. hex, written(function(p)
      c.wr_protobuf_message(p, 1)
      c.wr_protobuf_message(p, 2)
      c.wr_protobuf_text(p, 1, fields.slice(long))
      c.wr_protobuf_message_end(p)
      c.wr_protobuf_message_end(p)
    end))
  end)

  it("packs lists", function()
    local values = ffi.new("uint64_t[2]", 1, 2)
    assert.equal("321001000000000000000200000000000000",
      written(function(p) c.wr_protobuf_fixed64s(p, 6, values, 2) end))
    local doubles = ffi.new("double[1]", 1)
    assert.equal("3a08000000000000f03f",
      written(function(p) c.wr_protobuf_doubles(p, 7, doubles, 1) end))
  end)

  it("says when the buffer is full", function()
    local function fill(p)
      c.wr_protobuf_message(p, 1)
      c.wr_protobuf_text(p, 1, fields.slice(("x"):rep(40)))
      c.wr_protobuf_message_end(p)
    end
    local _, failed = written(fill, 44)
    assert.is_false(failed)
    for max = 1, 43 do
      assert.is_true(select(2, written(fill, max)), "in " .. max)
    end
  end)
end)
