--- spec/conformance/README.md: every line of the checklist has a case on the wire or a spec that is
--- named beside it, and that is there.
local tree = require "spec.lint.tree"

local TABLE = "spec/conformance/README.md"
local LINES = 35

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

-- How often each line is the subject of a case.
local function count_cases()
  local counts = {}
  for _, path in ipairs(tree.files "^spec/conformance/cases/.*%.lua$") do
    for _, c in ipairs(require(path:gsub("%.lua$", ""):gsub("/", "."))) do
      counts[c.line] = (counts[c.line] or 0) + 1
    end
  end
  return counts
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
  it("has a case or a spec for each line", function()
    tree.expect_none(check(tree.read(TABLE), count_cases(), read_if_there))
  end)

  it("is found wanting when a line, a case or a spec is missing", function()
    local lines, counts = { "<!-- checklist -->" }, {}
    for i = 1, LINES do lines[i + 1], counts[i] = i .. ". holds", 1 end
    lines[#lines + 1] = "<!-- end -->"
    local function read(path) return path == "spec/a_spec.lua" and 'it("holds", f)' or nil end
    local function problems() return check(table.concat(lines, "\n"), counts, read) end
    assert.same({}, problems())
    counts[3] = nil
    assert.matches("line 3: it has neither", problems()[1])
    lines[4] = '3. holds: `a_spec.lua` "holds"'
    assert.same({}, problems())
    lines[4] = '3. holds: `a_spec.lua` "falls"'
    assert.matches('spec/a_spec.lua has no it%("falls"%)', problems()[1])
    lines[4] = "and more"
    assert.matches("line 3: it is missing", problems()[1])
    counts[99] = 1
    assert.matches("line 99, which is not there", problems()[2])
  end)
end)
