local c, ffi = require "spec.support.c" ("upstream/alias.h")

-- What the cells give each number: of its own cell what is kept, of others what they pass on.
local function shares(weights)
  local n = #weights
  local cells, list = ffi.new("struct wr_alias_cell[?]", n), ffi.new("uint32_t[?]", n, weights)
  c.wr_alias_fill(cells, list, n)
  local out = {}
  for i = 1, n do out[i] = 0 end
  for i = 0, n - 1 do
    local kept = cells[i].other == i and 1 or cells[i].keep / 2 ^ 32
    out[i + 1] = out[i + 1] + kept / n
    out[cells[i].other + 1] = out[cells[i].other + 1] + (1 - kept) / n
  end
  return out
end

describe("alias", function()
  it("gives each number its weight's share", function()
    local cases = { { 1 }, { 1, 1, 1 }, { 1, 3 }, { 3, 1 }, { 5, 1, 1 }, { 1, 2, 3, 4, 90 },
      { 65535, 1 }, { 7, 7, 7, 1, 1, 1, 100 } }
    local many = {}
    for i = 1, 4096 do many[i] = i % 7 + 1 end
    cases[#cases + 1] = many
    for _, weights in ipairs(cases) do
      local sum = 0
      for _, w in ipairs(weights) do sum = sum + w end
      for i, share in ipairs(shares(weights)) do
        assert.near(weights[i] / sum, share, 1e-6)
      end
    end
  end)
end)
