local c, ffi = require "spec.support.c" ("base/decimal.h")

describe("decimal", function()
  it("writes what printf writes, and a NUL", function()
    local out = ffi.new("char[?]", c.WR_DECIMAL_SIZE)
    local cases = { "0", "7", "10", "200", "65535", "4294967296", "9999999999999999999",
      "18446744073709551615" }
    for _, text in ipairs(cases) do
      local number = assert(loadstring("return " .. text .. "ULL"))()
      assert.equal(#text, tonumber(c.wr_decimal_write(out, number)))
      assert.equal(text, ffi.string(out))
    end
  end)
end)
