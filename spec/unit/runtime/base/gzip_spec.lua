local c = require "spec.support.c" ("base/gzip.h")
local fields = require "spec.support.fields"

local function unpacked(packed)
  local name = os.tmpname()
  local file = io.open(name, "wb")
  file:write(packed)
  file:close()
  local pipe = io.popen("gzip -dc <" .. name)
  local text = pipe:read "*a"
  assert(pipe:close())
  os.remove(name)
  return text
end

describe("gzip", function()
  before_each(fields.clear)

  for _, text in ipairs { "", "a", ("span "):rep(100000), string.char(unpack(
    (function() local out = {} for i = 0, 255 do out[i + 1] = i end return out end)())) } do
    it("packs what gzip unpacks: " .. #text .. " bytes", function()
      local ok, packed = fields.into_buf(1024 * 1024, function(buf)
        return c.wr_gzip_pack(fields.slice(text), buf)
      end)
      assert.is_true(ok)
      assert.equal(text, unpacked(packed))
      if #text > 1000 then assert.is_true(#packed < #text / 10) end
    end)
  end

  it("refuses what does not fit", function()
    assert.is_false((fields.into_buf(8, function(buf)
      return c.wr_gzip_pack(fields.slice "some text", buf)
    end)))
  end)
end)
