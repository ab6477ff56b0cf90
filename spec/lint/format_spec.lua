--- C looks as clang-format writes it, and no line of C or Lua is longer than 100 columns.
local tree = require "spec.lint.tree"

local COLUMNS = 100

local function columns(line)
  -- UTF-8 continuation bytes take no column.
  return select(2, line:gsub("[^\128-\191]", ""))
end

local function check_columns(path, text)
  local problems = {}
  for i, line in ipairs(tree.lines(text)) do
    if columns(line) > COLUMNS then
      problems[#problems + 1] = tree.at(path, i,
        "format: %d columns, the limit is %d: break the line", columns(line), COLUMNS)
    end
    if line:match "%s$" or line:match "\t" then
      problems[#problems + 1] = tree.at(path, i, "format: a tab, or space at the end: remove it")
    end
  end
  return problems
end

-- What clang-format says: its exit status, and one problem for each line it would change.
local function clang_format(paths)
  local command = "clang-format --dry-run -Werror " .. paths .. " 2>&1; echo $?"
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  local problems, seen = {}, {}
  for place in output:gmatch "([^\n]-:%d+):%d+: error: code should be clang%-formatted" do
    if not seen[place] then problems[#problems + 1] = place .. ": format: run scripts/format" end
    seen[place] = true
  end
  return output:match "(%d+)%s*$", problems, output
end

describe("format", function()
  it("of C is clang-format's", function()
    local paths = tree.files("^runtime/.*%.[ch]$", "^spec/native/.*%.[ch]$", "^spec/fuzz/.*%.[ch]$")
    assert.is_true(#paths > 0)
    local status, problems, output = clang_format("--style=file " .. table.concat(paths, " "))
    tree.expect_none(problems)
    assert.equal("0", status, output)
  end)

  it("keeps to the column limit", function()
    local paths = tree.files("^runtime/.*%.[ch]$", "^spec/.*%.[ch]$", "^lua/.*%.lua$",
      "^policies/.*%.lua$", "^spec/.*%.lua$")
    tree.expect_none(tree.gather(paths, check_columns))
  end)

  it("is judged by characters, not bytes", function()
    assert.equal(0, #check_columns("a.c", ("é"):rep(100)))
    assert.equal(1, #check_columns("a.c", ("é"):rep(101)))
    assert.equal(1, #check_columns("a.c", "x \n"))
    assert.equal(1, #check_columns("a.c", "\tx\n"))
    local name = os.tmpname()
    local bad = name .. ".c"
    local file = assert(io.open(bad, "w"))
    file:write "int  a( void ){return 1;}\n"
    file:close()
    local status, problems = clang_format("--style=LLVM " .. bad)
    os.remove(bad)
    os.remove(name)
    assert.equal("1", status)
    assert.same({ bad .. ":1: format: run scripts/format" }, problems)
  end)
end)
