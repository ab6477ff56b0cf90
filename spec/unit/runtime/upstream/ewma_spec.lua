local c, ffi = require "spec.support.c" ("upstream/ewma.h")

local MS, S = 1e6, 1e9

describe("peak ewma", function()
  it("jumps up at once, and comes down with e^(-t/10 s)", function()
    local e = ffi.new "struct wr_ewma"
    assert.equal(0, c.wr_ewma_cost(e, S))
    c.wr_ewma_add(e, S, 10 * MS, false)
    assert.equal(10 * MS, c.wr_ewma_cost(e, S))
    c.wr_ewma_add(e, S, 90 * MS, false)
    assert.equal(90 * MS, c.wr_ewma_cost(e, S))
    assert.near(90 * MS / math.exp(1), c.wr_ewma_cost(e, 11 * S), 1)
    c.wr_ewma_add(e, 11 * S, 10 * MS, false)
    assert.near(90 * MS / math.exp(1) + 10 * MS * (1 - 1 / math.exp(1)),
      c.wr_ewma_cost(e, 11 * S), 1)
  end)

  it("takes a failure for half a second at least", function()
    local e = ffi.new "struct wr_ewma"
    c.wr_ewma_add(e, S, MS, true)
    assert.equal(500 * MS, c.wr_ewma_cost(e, S))
    c.wr_ewma_add(e, S, 2 * S, true)
    assert.equal(2 * S, c.wr_ewma_cost(e, S))
  end)

  it("learns from who was given up only that it took longer", function()
    local e = ffi.new "struct wr_ewma"
    c.wr_ewma_add(e, S, 10 * MS, false)
    c.wr_ewma_give_up(e, S, 5 * MS)
    assert.equal(10 * MS, c.wr_ewma_cost(e, S))
    c.wr_ewma_give_up(e, S, 50 * MS)
    assert.equal(50 * MS, c.wr_ewma_cost(e, S))
  end)
end)
