--- The table of header fields: looked up by name, whatever its case, and by nothing else.
local c = require "spec.support.c" ("http/headers.h")
local fields = require "spec.support.fields"

local slice, text = fields.slice, fields.text
local COUNT = tonumber(c.WR_FIELD_COUNT)

local function of(name) return tonumber(c.wr_field_of(slice(name))) end

local function each(fn)
  for field = 1, COUNT - 1 do fn(field, text(c.wr_field_name(field))) end
end

describe("fields", function()
  after_each(fields.clear)

  it("are found by their names in any case", function()
    each(function(field, name)
      for _, written in ipairs { name, name:lower(), name:upper() } do
        assert.equal(field, of(written), written)
      end
    end)
  end)

  it("are in the order of their names' length, by which they are found", function()
    local longest = 0
    each(function(_, name)
      assert.is_true(#name >= longest, name)
      longest = #name
    end)
  end)

  it("are not found by a name that differs in one byte, in any bit, at any place", function()
    each(function(field, name)
      for at = 1, #name do
        for bit_ = 0, 7 do
          local byte = bit.bxor(name:byte(at), bit.lshift(1, bit_))
          local other = name:sub(1, at - 1) .. string.char(byte) .. name:sub(at + 1)
          if other:lower() ~= name:lower() then
            assert.are_not.equal(field, of(other), ("%q for %s"):format(other, name))
          end
        end
      end
    end)
  end)

  it("are not found by longer or shorter names", function()
    each(function(field, name)
      local others = { name .. "x", name:sub(1, -2), "x" .. name, name:sub(2), name:rep(9) }
      for _, other in ipairs(others) do
        assert.are_not.equal(field, of(other), other)
      end
    end)
    assert.equal(0, of "")
    assert.equal(0, of "X-Anything")
  end)

  it("stay known in lists that share, replace, remove and add them", function()
    local h = fields.list { { "host", "a" }, { "X-Own", "1" }, { "VIA", "1.1 b" } }
    local out = fields.list {}
    for i = 0, 2 do assert.is_true(c.wr_headers_share(out, h.items[i])) end
    assert.is_true(c.wr_headers_put(out, c.WR_FIELD_VIA, slice "1.1 c"))
    assert.is_true(c.wr_headers_put(out, c.WR_FIELD_DATE, slice "now"))
    c.wr_headers_drop(out, c.WR_FIELD_HOST)
    assert.same({ { "X-Own", "1" }, { "Via", "1.1 c" }, { "Date", "now" } }, fields.read(out))
    assert.equal("1.1 c", text(c.wr_headers_value(out, c.WR_FIELD_VIA)))
    assert.is_nil(text(c.wr_headers_value(out, c.WR_FIELD_HOST)))
  end)

  it("are sound when they were parsed, and looked at again when they were not", function()
    local h = fields.list { { "Via", "a\rb" }, { "Vi a", "b" }, { "X-Own", "c" } }
    assert.is_false(c.wr_headers_is_sound(h.items[0]))
    assert.is_false(c.wr_headers_is_sound(h.items[1]))
    assert.is_true(c.wr_headers_is_sound(h.items[2]))
  end)
end)
