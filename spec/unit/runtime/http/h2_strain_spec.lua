local c = require "spec.support.c" ("http/h2_strain.h")
local ffi = require "ffi"

local SECOND = 1000000000ULL

describe("h2_strain", function()
  local s

  before_each(function()
    s = ffi.new("struct wr_h2_strain")
    c.wr_h2_strain_init(s, SECOND)
  end)

  -- How many of a kind are taken at `now` before one is too much.
  local function burst(kind, now)
    local count = 0
    while c.wr_h2_strain_add(s, kind, now) do count = count + 1 end
    return count
  end

  it("takes a burst of each kind, and not one more", function()
    for kind, expected in pairs { RESET = 200, PING = 100, SETTINGS = 50, PRIORITY = 200,
      WINDOW_UPDATE = 1000, EMPTY_DATA = 50, UNKNOWN = 100, INVALID = 50, HEAD = 0 } do
      assert.equal(expected, burst(c["WR_H2_STRAIN_" .. kind], SECOND), kind)
    end
  end)

  it("forgets by time", function()
    burst(c.WR_H2_STRAIN_RESET, SECOND)
    -- One of the 20 that a second takes off is the one that was too much.
    assert.equal(19, burst(c.WR_H2_STRAIN_RESET, 2 * SECOND))
    assert.equal(200, burst(c.WR_H2_STRAIN_RESET, 100 * SECOND))
  end)

  it("lets who is sent data give window back as often as it likes", function()
    for _ = 1, 20000 do
      c.wr_h2_strain_data(s)
      for _ = 1, 10 do
        assert.is_true(c.wr_h2_strain_add(s, c.WR_H2_STRAIN_WINDOW_UPDATE, SECOND))
      end
    end
  end)

  it("lets nobody reset more for asking more", function()
    burst(c.WR_H2_STRAIN_RESET, SECOND)
    c.wr_h2_strain_request(s)
    assert.is_false(c.wr_h2_strain_add(s, c.WR_H2_STRAIN_RESET, SECOND))
  end)

  it("names its kinds", function()
    assert.equal("reset", ffi.string(c.wr_h2_strain_name(c.WR_H2_STRAIN_RESET)))
    assert.equal("answers", ffi.string(c.wr_h2_strain_name(c.WR_H2_STRAIN_ANSWERS)))
  end)
end)
