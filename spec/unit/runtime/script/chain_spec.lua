local c, ffi = require "spec.support.c" ("script/chain.h")

describe("chain", function()
  local region, chain

  before_each(function()
    region, chain = ffi.new "struct wr_region", ffi.new "struct wr_chain"
    c.wr_region_init(region, 1024 * 1024)
    chain.region = region
  end)

  after_each(function() c.wr_region_fini(region) end)

  local function str(text) return ffi.new("struct wr_str", text, #text) end
  local function add_as(name) return c.wr_chain_add(chain, c.WR_DECISION_ATTEMPT, name, 7) end
  local function add(name) return add_as(c.wr_chain_text(chain, str(name))) end
  local function line() -- the slice holds no reference: keep the region
    local s = c.wr_chain_line(chain)
    return ffi.string(s.ptr, s.len)
  end

  it("keeps its links in order, with copies of names, however many they become", function()
    for i = 1, c.WR_CHAIN_MAX do
      local link = add("name " .. i)
      assert.equal(i - 1, c.wr_chain_index(chain, link))
      link.number = i
    end
    for i = 1, c.WR_CHAIN_MAX do
      local link = c.wr_chain_at(chain, i - 1)
      assert.equal("name " .. i, ffi.string(link.name.ptr, link.name.len))
      assert.equal(i, link.number)
      assert.equal(7, tonumber(link.begun_ns))
    end
    assert.equal(0, chain.left_out)
    assert.is_true(add "one too many" == nil)
    assert.equal(1, chain.left_out)
    assert.equal(c.WR_CHAIN_MAX, chain.count)
  end)

  it("keeps nothing without memory, and does without when that is full", function()
    chain.region = nil
    assert.is_true(add_as(str "x") == nil)
    assert.equal(0, chain.left_out)
    assert.is_true(c.wr_chain_at(chain, c.WR_CHAIN_NONE) == nil)
    c.wr_region_init(region, 16)
    chain.region = region
    assert.is_true(add "x" == nil)
    assert.equal(1, chain.left_out)
  end)

  it("is one line for a header field, cut where that would be too long", function()
    assert.equal("nothing was asked", line())
    local link = add "recs"
    link.number, link.status, link.ended_ns = 2, 503, 7 + 1500000
    link.detail = str "10.0.0.1:80"
    link = c.wr_chain_add(chain, c.WR_DECISION_RETRY, str "recs", 9)
    link.result, link.delay_ns = str "retry", 43000000
    link = add "slow"
    link.ended_ns = 0
    assert.equal("attempt 2 recs 10.0.0.1:80: 503 after 1.5 ms, retry recs: retry in 43.0 ms, "
      .. "attempt slow: under way", line())
    for _ = 1, 200 do add(("n"):rep(100)) end
    assert.is_true(#line() <= c.WR_CHAIN_LINE_MAX)
  end)
end)
