local c, ffi = require "spec.support.c" ("script/sampler.h")

local OFF, ON, RATIO = 0, 1, 2

local function caller(id, flags)
  local context = ffi.new("struct wr_trace_context")
  ffi.copy(context.trace_id, id)
  context.flags = flags
  return context
end

local LOW, HIGH = ("f"):rep(16) .. ("0"):rep(15) .. "1", ("0"):rep(16) .. ("f"):rep(16)

describe("the sampler", function()
  local rng = ffi.new("struct wr_rng")
  before_each(function() c.wr_rng_init(rng, 1) end)

  local function takes(sampler, from, is_believed)
    local s = ffi.new("struct wr_sampler", sampler)
    return c.wr_sampler_takes(s, from, is_believed or false, rng)
  end

  it("takes all or none", function()
    for _, from in ipairs { caller(LOW, 0), caller(LOW, 1) } do
      assert.is_true(takes({ ON, false }, from, true))
      assert.is_false(takes({ OFF, false }, from, true))
    end
    assert.is_true(takes({ ON, true }))
    assert.is_false(takes({ OFF, true }))
  end)

  it("follows the caller who is believed, and no other", function()
    assert.is_false(takes({ ON, true }, caller(LOW, 0), true))
    assert.is_true(takes({ OFF, true }, caller(LOW, 1), true))
    assert.is_true(takes({ OFF, true }, caller(LOW, 3), true))
    assert.is_true(takes({ ON, true }, caller(LOW, 0), false))
    assert.is_false(takes({ OFF, true }, caller(LOW, 1), false))
  end)

  it("takes a ratio of the ids that it believes in", function()
    assert.is_true(takes({ RATIO, false, 0.001 }, caller(LOW, 0), true))
    assert.is_false(takes({ RATIO, false, 0.999 }, caller(HIGH, 1), true))
    assert.is_true(takes({ RATIO, false, 1 }, caller(HIGH, 0), true))
    assert.is_false(takes({ RATIO, false, 0 }, caller(("0"):rep(32), 1), true))
    assert.is_true(c.wr_sampler_in_ratio(0.5, ("0"):rep(16) .. "7fffffffffffffff"))
    assert.is_false(c.wr_sampler_in_ratio(0.5, ("0"):rep(16) .. "8000000000000000"))
  end)

  it("takes about the ratio of the others, whatever id they choose", function()
    local count = 0
    for _ = 1, 10000 do
      if takes({ RATIO, true, 0.1 }, caller(LOW, 1), false) then count = count + 1 end
    end
    assert.is_true(count > 850 and count < 1150, count)
    for _ = 1, 1000 do assert.is_false(takes({ RATIO, true, 0 })) end
    for _ = 1, 1000 do assert.is_true(takes({ RATIO, true, 1 })) end
  end)
end)
