--- spec/conformance/README.md: every line of the checklist has cases on the wire, over HTTP/1.1 and
--- over HTTP/2, or a spec that is named beside it, and that is there.
local tree = require "spec.lint.tree"

local TABLE = "spec/conformance/README.md"
local LINES = 35

-- Lines that mean something in one version only, and why.
local ONE_VERSION = {
  [35] = "h1: streams have no order",
}

-- Lines of the list: number -> its text.
local function read_lines(text)
  local list, number = {}, nil
  local section = text:match "<!%-%- checklist %-%->\n(.-)<!%-%- end %-%->" or ""
  for line in section:gmatch "[^\n]+" do
    number = tonumber(line:match "^(%d+)%. ") or number
    if number then list[number] = (list[number] or "") .. line .. "\n" end
  end
  return list
end

-- How often each line is the subject of a case: line -> version -> count.
local function count_cases()
  local counts = {}
  for _, path in ipairs(tree.files "^spec/conformance/cases/.*%.lua$") do
    for _, c in ipairs(require(path:gsub("%.lua$", ""):gsub("/", "."))) do
      local of_line = counts[c.line] or { h1 = 0, h2 = 0 }
      for version in pairs(of_line) do
        if (c.over or version) == version then of_line[version] = of_line[version] + 1 end
      end
      counts[c.line] = of_line
    end
  end
  return counts
end

-- The version that has no case although it should.
local function lacking(line, of_line)
  if ONE_VERSION[line] then return nil end
  return of_line.h1 == 0 and "h1" or of_line.h2 == 0 and "h2" or nil
end

local function is_proved_by(read, text)
  local found = false
  for path, name in text:gmatch '`([%w_/]+_spec%.lua)`%s+"([^"]+)"' do
    local spec = read("spec/" .. path)
    if not spec or not spec:find('it("' .. name, 1, true) then
      return false, ('spec/%s has no it("%s")'):format(path, name)
    end
    found = true
  end
  local document = text:match "`%.%./([%w_]+%.md)`"
  return found or document and read(document) ~= nil, "it has neither case nor spec"
end

local function check(text, counts, read)
  local problems, list = {}, read_lines(text)
  for i = 1, LINES do
    local ok, why = list[i] ~= nil, "it is missing"
    if ok and not counts[i] then ok, why = is_proved_by(read, list[i]) end
    if ok and counts[i] and lacking(i, counts[i]) then
      ok, why = false, "it has no case over " .. lacking(i, counts[i])
    end
    if ok and counts[i] and list[i]:find "_spec" then ok, why = is_proved_by(read, list[i]) end
    if not ok then
      problems[#problems + 1] = ("%s: line %d: %s: add a case to spec/conformance/cases/ or name "
        .. "a spec"):format(TABLE, i, why)
    end
  end
  for line in pairs(counts) do
    if not list[line] then
      problems[#problems + 1] = ("%s: cases speak of line %d, which is not there: add it")
        :format(TABLE, line)
    end
  end
  return problems
end

local function read_if_there(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

describe("the checklist of conformance", function()
  it("has cases or a spec for each line", function()
    tree.expect_none(check(tree.read(TABLE), count_cases(), read_if_there))
  end)

  it("is found wanting when a line, a case or a spec is missing", function()
    local lines, counts = { "<!-- checklist -->" }, {}
    for i = 1, LINES do lines[i + 1], counts[i] = i .. ". holds", { h1 = 1, h2 = 1 } end
    lines[#lines + 1] = "<!-- end -->"
    local function read(path) return path == "spec/a_spec.lua" and 'it("holds", f)' or nil end
    local function problems() return check(table.concat(lines, "\n"), counts, read) end
    assert.same({}, problems())
    counts[3].h2 = 0
    assert.matches("line 3: it has no case over h2", problems()[1])
    counts[3].h1, counts[3].h2 = 0, 1
    assert.matches("line 3: it has no case over h1", problems()[1])
    counts[3] = nil
    assert.matches("line 3: it has neither", problems()[1])
    lines[4] = '3. holds: `a_spec.lua` "holds"'
    assert.same({}, problems())
    lines[4] = '3. holds: `a_spec.lua` "falls"'
    assert.matches('spec/a_spec.lua has no it%("falls"%)', problems()[1])
    lines[4] = "and more"
    assert.matches("line 3: it is missing", problems()[1])
    counts[99] = { h1 = 1, h2 = 1 }
    assert.matches("line 99, which is not there", problems()[2])
  end)
end)
