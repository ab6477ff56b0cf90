--- Headers are their own manual, and nothing in the tree is left for later.
local tree = require "spec.lint.tree"

-- A group is declarations on adjacent lines: the `///` at the first speaks for all of them.
local function check_header(path, text)
  local problems, lines = {}, tree.lines(text)
  local documented = {} -- line after the end of a documented declaration -> true
  for _, f in ipairs(tree.declarations(text)) do
    local stop = f.line
    while stop < #lines and not lines[stop]:match ";%s*$" and not lines[stop]:match ";%s*//" do
      stop = stop + 1
    end
    local is_documented = documented[f.line] or f.above:match "^%s*///" ~= nil
    is_documented = is_documented or lines[stop]:match ";%s*///<" ~= nil
    documented[stop + 1] = is_documented
    if not is_documented then
      problems[#problems + 1] = tree.at(path, f.line, "docs: %s has no `///` above it: say what it "
        .. "does, then only what a caller could get wrong", f.name)
    end
  end
  if not text:match "^#pragma once\n/// " then
    problems[#problems + 1] = tree.at(path, 1, "docs: a header opens with `#pragma once` and a "
      .. "`///` paragraph: what it is, who owns it, which thread, which limits")
  end
  return problems
end

-- Written apart, so that this file needs no exception for itself.
local LATER = { "TO" .. "DO", "FIX" .. "ME", "X" .. "XX", "for" .. " now", "not" .. " implemented" }

local function check_later(path, text)
  local problems = {}
  for i, line in ipairs(tree.lines(text)) do
    for _, word in ipairs(LATER) do
      -- Words in capitals are marks; the phrases count in any case, but 501 is HTTP's own name.
      local subject = word:match "%l" and line:lower() or line
      if word:match "^not" and line:find "%f[%w]501%f[%W]" then subject = "" end
      if subject:find("%f[%w]" .. word .. "%f[%W]") then
        problems[#problems + 1] = tree.at(path, i,
          "docs: '%s': finish it, or say as a fact what it does not do and why", word)
      end
    end
  end
  return problems
end

describe("docs", function()
  it("stand above every public declaration", function()
    tree.expect_none(tree.gather(tree.files "^runtime/.*%.h$", check_header))
  end)

  it("promise nothing for later", function()
    local paths = tree.files("^runtime/", "^lua/", "^policies/", "^spec/", "^scripts/")
    tree.expect_none(tree.gather(paths, check_later))
  end)

  it("of a declaration are its own or its group's", function()
    local head = "#pragma once\n/// A thing.\n\n"
    local cases = {
      { "/// Does.\nvoid wr_a_do(int a);\n", 0 },
      { "/// Both.\nvoid wr_a_on(void);\nvoid wr_a_off(void);\n", 0 },
      { "/// Does.\nvoid wr_a_do(int a,\n             int b);\nint wr_a_x(void);\n", 0 },
      { "void wr_a_do(int a); ///< Does.\n", 0 },
      { "void wr_a_do(int a); ///< Does.\nvoid wr_a_x(void);\n", 0 },
      { "void wr_a_do(int a);\n", 1 },
      { "// Not this kind.\nvoid wr_a_do(int a);\n", 1 },
      { "/// Does.\nvoid wr_a_do(int a);\n\nvoid wr_a_x(int a);\n", 1 },
      { "struct wr_a {\n  void (*on)(int a);\n};\nextern const int wr_a[];\n", 0 },
      { "__attribute__((cold)) void wr_a_do(int a);\n", 1 },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], #check_header("a.h", head .. case[1]), case[1])
    end
    assert.equal(1, #check_header("a.h", "#pragma once\n\n#include <x.h>\n"))
  end)

  it("say nothing is left for later in any spelling", function()
    for _, word in ipairs(LATER) do
      assert.equal(1, #check_later("a.c", "// " .. word .. ": x"), word)
    end
    assert.equal(1, #check_later("a.c", "// Enough For" .. " Now."))
    assert.equal(0, #check_later("a.c", '{501, "Not Implem' .. 'ented"},'))
    assert.equal(0, #check_later("a.c", "// METHOD " .. "TO" .. "DOS, known for nowhere"))
  end)
end)
