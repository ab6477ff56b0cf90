local c, ffi = require "spec.support.c" ("base/stamp.h")
local fields = require "spec.support.fields"

local function read(text)
  local out = ffi.new("uint64_t[1]")
  if c.wr_stamp_read(fields.slice(text), out) then return out[0] end
end

describe("a stamp", function()
  it("is read as it was written", function()
    for _, ns in ipairs { 0ULL, 1763699400250000000ULL, 951782399999000000ULL,
      4102444800000000000ULL } do
      local text = ffi.new("char[48]")
      c.wr_stamp_text(ns, text)
      assert.is_true(read(ffi.string(text)) == ns, ffi.string(text))
    end
    assert.is_true(read "2000-02-29T23:59:59.999Z" == 951868799999000000ULL)
  end)

  it("is nothing else", function()
    for _, text in ipairs { "", "2026-11-21", "2026-11-21T04:30:00.250", "2026-11-21T04:30:00Z",
      "2026-11-21 04:30:00.250Z", "2026-11-21T04:30:00.250z", "x026-11-21T04:30:00.250Z",
      "2026-11-21T04:30:00.250Zx" } do
      assert.is_nil(read(text), text)
    end
  end)
end)
