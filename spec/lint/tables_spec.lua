--- The X-macro tables: rows as their head comment says, no name twice, every row explained.
local tree = require "spec.lint.tree"

local KINDS, GUIDE = "runtime/tables/errors.def", "lua/README.md"

-- Arguments of one row: commas outside strings and parentheses.
local function arguments(text)
  local list, depth, in_string, from = {}, 0, false, 1
  local i = 1
  while i <= #text do
    local ch = text:sub(i, i)
    if in_string and ch == "\\" then
      i = i + 1
    elseif ch == '"' then
      in_string = not in_string
    elseif not in_string and ch == "(" then
      depth = depth + 1
    elseif not in_string and ch == ")" then
      depth = depth - 1
    elseif not in_string and depth == 0 and ch == "," then
      list[#list + 1] = text:sub(from, i - 1):match "^%s*(.-)%s*$"
      from = i + 1
    end
    i = i + 1
  end
  list[#list + 1] = text:sub(from):match "^%s*(.-)%s*$"
  return list
end

--- Rows of a table's text, a row on as many lines as it needs: { macro, line, args }.
local function rows_of(text)
  local rows, pending, first = {}, nil, nil
  for i, line in ipairs(tree.lines(text)) do
    if pending then
      pending = pending .. " " .. line
    elseif not line:match "^%s*//" and not line:match "^%s*$" and not line:match "^#" then
      pending, first = line, i
    end
    if pending and pending:match "%)%s*$" then
      local macro, inside = pending:match "^%s*(WR_[%u%d_]+)%((.*)%)%s*$"
      rows[#rows + 1] = { macro = macro, line = first, args = macro and arguments(inside) }
      pending = nil
    end
  end
  if pending then rows[#rows + 1] = { line = first } end
  return rows
end

-- "//   WR_ERROR(ENUM, name, …)" in the head comment, or the empty "#define WR_ERROR(ENUM, name,
-- …)" of a table of several families: macro -> number of arguments.
local function signatures_of(text)
  local counts = {}
  for _, before in ipairs { "//", "#define" } do
    for macro, inside in text:gmatch(before .. "%s*(WR_[%u%d_]+)(%b())") do
      counts[macro] = #arguments(inside:sub(2, -2))
    end
  end
  return counts
end

local function judge(row, signatures, seen)
  if not row.macro then return "is no row: write WR_<TABLE>(ARGUMENTS), closed by a parenthesis" end
  local due = signatures[row.macro]
  if not due then return row.macro .. " has no signature: show it in the comment at the head" end
  if #row.args ~= due then
    return ("%s has %d columns, its signature %d: fill in all"):format(row.macro, #row.args, due)
  end
  if not row.args[1]:match "^%u[%u%d_]*$" then return row.args[1] .. " is no name in upper case" end
  for i = 1, math.min(2, due) do
    local key = row.macro .. i .. row.args[i]
    local is_name = i == 1 or row.args[i]:match '^"[%w_.-]+"$'
    if is_name and seen[key] then
      return ("%s was named in line %d: use another word"):format(row.args[i], seen[key])
    end
    if is_name then seen[key] = row.line end
  end
  if not row.args[due]:match '^".+"$' then
    return row.args[1] .. " has no documentation in its last column"
  end
end

local function check(path, text)
  local problems, seen, signatures = {}, {}, signatures_of(text)
  for _, row in ipairs(rows_of(text)) do
    local problem = judge(row, signatures, seen)
    if problem then problems[#problems + 1] = tree.at(path, row.line, "tables: %s", problem) end
  end
  return problems
end

describe("tables", function()
  it("are well formed", function()
    tree.expect_none(tree.gather(tree.files "^runtime/tables/.*%.def$", check))
  end)

  it("of errors are what the guide explains", function()
    -- The guide is written after the first bindings; from its first day on it is complete.
    if #tree.files "^lua/README%.md$" == 0 then return end
    local guide, problems = tree.read(GUIDE), {}
    for _, row in ipairs(rows_of(tree.read(KINDS))) do
      local name = row.args[2]:sub(2, -2)
      local word = name:gsub("%p", "%%%0")
      if not guide:find("[`\"]" .. word .. "[`\"]") then
        problems[#problems + 1] = tree.at(KINDS, row.line,
          "tables: %s has no `%s` in %s: explain it there", row.args[1], name, GUIDE)
      end
    end
    tree.expect_none(problems)
  end)

  it("are judged row by row", function()
    local head = "// WR_E(ENUM, name, status, meaning)\n"
    local cases = {
      { 'WR_E(A, "a", 1, "one, (two")', nil },
      { 'WR_E(A, "a", 1,\n     "on two lines")', nil },
      { 'WR_E(A, "a", 1)', "3 columns" },
      { 'WR_E(a, "a", 1, "x")', "upper case" },
      { 'WR_E(A, "a", 1, "")', "no documentation" },
      { 'WR_E(A, "a", 1, x)', "no documentation" },
      { 'WR_X(A, "a", 1, "x")', "no signature" },
      { 'WR_E(A, "a", 1, "x"', "no row" },
      { "E(A)", "no row" },
      { 'WR_E(A, "a", 1, "x")\nWR_E(A, "b", 1, "x")', "A was named" },
      { 'WR_E(A, "a", 1, "x")\nWR_E(B, "a", 1, "x")', '"a" was named' },
    }
    for _, case in ipairs(cases) do
      local problem = check("t.def", head .. case[1])[1]
      assert.equal(case[2] ~= nil, problem ~= nil, case[1])
      if case[2] then assert.is_truthy(problem:find(case[2], 1, true), problem) end
    end
  end)
end)
