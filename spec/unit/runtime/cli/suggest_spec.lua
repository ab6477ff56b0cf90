local c, ffi = require "spec.support.c" ("cli/suggest.h")

local function suggest(typed, ...)
  local words = { ... }
  local meant = c.wr_suggest_of(typed, ffi.new("const char *[?]", #words, words), #words)
  return meant ~= nil and ffi.string(meant) or nil
end

describe("suggest", function()
  it("counts insertions, deletions, replacements and swaps of neighbours", function()
    local cases = {
      { "", "", 0 }, { "abc", "abc", 0 }, { "", "abc", 3 }, { "abc", "", 3 },
      { "kitten", "sitting", 3 },
      { "relaod", "reload", 1 }, { "workes", "workers", 1 },
      { "ca", "abc", 3, "no edit inside a swap" },
    }
    for _, case in ipairs(cases) do
      local note = case[1] .. " " .. case[2]
      assert.equal(case[3], tonumber(c.wr_suggest_distance(case[1], case[2])), note)
      assert.equal(case[3], tonumber(c.wr_suggest_distance(case[2], case[1])), note)
    end
  end)

  it("gives up on words of more than 32 bytes", function()
    assert.equal(0, tonumber(c.wr_suggest_distance(("x"):rep(32), ("x"):rep(32))))
    assert.equal(33, tonumber(c.wr_suggest_distance(("x"):rep(33), ("x"):rep(33))))
  end)

  it("gives the nearest word, the first of equals, and none when none is near", function()
    assert.equal("reload", suggest("relod", "run", "reload", "status"))
    assert.equal("json", suggest("jsno", "admin", "json"))
    assert.equal("run", suggest("rum", "run", "rub"))
    assert.is_nil(suggest("rnu!", "run"))
    assert.is_nil(suggest("xyz", "run", "reload"))
    assert.is_nil(suggest("xyz"))
  end)
end)
