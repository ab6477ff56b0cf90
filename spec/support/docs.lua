--- The parts of the READMEs that are made from the code, and the examples in them.
---
--- A made part stands between `<!-- made: NAME -->` and `<!-- end -->`. `scripts/docs` writes them,
--- spec/docs/made_spec.lua fails when one is not what the code says.
local cjson = require "cjson"

local docs = {}

--- The READMEs with made parts or examples.
docs.files = { "README.md", "lua/README.md", "policies/README.md", "runtime/README.md" }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

--- What a command prints; fails when it fails.
function docs.run(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "*a"
  assert(pipe:close(), "failed: " .. command)
  return text
end

--- "LD_PRELOAD= build/asan/NAME" and the like: a program of the build under test, for a shell.
function docs.program(name)
  return ("LD_PRELOAD= build/%s/%s"):format(os.getenv "WEIR_PRESET" or "dev", name)
end

--- Writes `text` to a new temporary file; returns its path.
function docs.file(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

--- What spec/support/api.lua lists.
function docs.api()
  local path = docs.file ""
  local text = docs.run(docs.program "api_list" .. " " .. path)
  os.remove(path)
  return cjson.decode(text)
end

-- Tables.

local function cell(text)
  return (tostring(text):gsub("|", "\\|"))
end

local function table_of(head, rows)
  local lines = { "| " .. table.concat(head, " | ") .. " |", (("|---"):rep(#head)) .. "|" }
  for _, row in ipairs(rows) do
    for i = 1, #head do row[i] = cell(row[i]) end
    lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |"
  end
  return table.concat(lines, "\n")
end

local function default_of(row)
  if row.required then return "required" end
  if not row.default then return "" end
  local value = row.default[1]
  if type(value) == "string" then return ('`"%s"`'):format(value) end
  if type(value) == "number" then return ("`%.14g`"):format(value) end
  return ("`%s`"):format(tostring(value))
end

local function options_table(schema)
  local rows = {}
  for i, row in ipairs(schema.rows) do
    local name = "`" .. row.key .. "`"
    if row.key == schema.positional then name = name .. " ¹" end
    rows[i] = { name, row.what, default_of(row), row.doc or "" }
  end
  local text = table_of({ "option", "takes", "default", "" }, rows)
  if schema.positional then
    text = text .. "\n\n¹ may be given alone, without a table."
  end
  return text
end

--- Rows of an X-macro table, strings unquoted: a list of lists.
function docs.rows(path, macro)
  local rows = {}
  local text = read(path):gsub("//[^\n]*", "")
  for inside in text:gmatch("\n" .. macro .. "(%b())") do
    local row = {}
    local rest = inside:sub(2, -2)
    while rest ~= "" do
      local quoted, after = rest:match '^%s*"(.-)"%s*,?(.*)$'
      if not quoted then quoted, after = rest:match "^%s*(.-)%s*,(.*)$" end
      if not quoted then quoted, after = rest:match "^%s*(.-)%s*$", "" end
      row[#row + 1], rest = quoted, after
    end
    rows[#rows + 1] = row
  end
  assert(#rows > 0, path .. " has no " .. macro)
  return rows
end

local function errors_table()
  local rows = {}
  for i, row in ipairs(docs.rows("runtime/tables/errors.def", "WR_ERROR")) do
    rows[i] = { "`" .. row[2] .. "`", row[3], row[4], "`" .. row[5] .. "`",
      "`" .. row[6] .. "`", row[7] }
  end
  return table_of({ "kind", "client sees", "gRPC client", "`why` in the access log",
    "`Proxy-Status`", "meaning" }, rows)
end

local names = { WR_SECOND = 1e9, WR_MS = 1e6 }

--- The value of a constant C expression of numbers, `*`, `<<`, WR_SECOND and WR_MS; nil for others.
function docs.value(text)
  local plain = text:gsub("%(size_t%)", ""):gsub("UINT64_C(%b())", "%1")
    :gsub("(%d)[uU][lL]*%f[^%w_]", "%1"):gsub("WR_%u+", names)
  plain = plain:gsub("(%d+)%s*<<%s*(%d+)", "(%1*2^%2)")
  if plain:find "[^%d%s%.%*%^%(%)e+]" then return nil end
  local chunk = loadstring("return " .. plain)
  local ok, value = pcall(chunk or error)
  return ok and tonumber(value) or nil
end

local function scaled(value, units)
  for _, unit in ipairs(units) do
    local count = value / unit[2]
    if count >= 1 and count % 1 == 0 then return ("%.14g %s"):format(count, unit[1]) end
  end
  return ("%.14g"):format(value)
end

local function show(value, unit)
  if unit == "NS" then
    return scaled(value, { { "min", 6e10 }, { "s", 1e9 }, { "ms", 1e6 } })
  elseif unit == "BYTES" then
    return scaled(value, { { "MiB", 2 ^ 20 }, { "KiB", 2 ^ 10 }, { "B", 1 } })
  end
  return ("%.14g"):format(value)
end

local function limits_table()
  local rows = {}
  for i, row in ipairs(docs.rows("runtime/tables/limits.def", "WR_LIMIT")) do
    local _, name, value, unit, path, constant, bites, doc = unpack(row)
    rows[i] = { "`" .. name .. "`", show(assert(docs.value(value), value), unit), doc, bites,
      ("`%s` %s"):format(constant, path) }
  end
  return table_of({ "limit", "value", "of what", "when it bites", "where" }, rows)
end

local function warnings_table(api)
  local rows = {}
  for i, rule in ipairs(api.rules) do
    rows[i] = { "`" .. rule.id .. "`", rule.why, "`" .. rule.example .. "`" }
  end
  return table_of({ "id", "what is wrong with it", "layers that trip it" }, rows)
end

--- The made parts: name -> text.
function docs.made()
  local api = docs.api()
  local made = { errors = errors_table(), limits = limits_table(), warnings = warnings_table(api) }
  for name, schema in pairs(api.options) do
    made["options " .. name] = options_table(schema)
  end
  return made
end

-- A made part with its marks: opening, name, text with the line's end before the closing mark.
local PART = "(<!%-%- made: ([%w ]+) %-%->\n)(.-)<!%-%- end %-%->"

--- A README's text with its made parts as `made` has them; the names it has, and those unknown.
function docs.renew(text, made)
  local used, unknown = {}, {}
  local renewed = text:gsub(PART, function(open, name, old)
    used[name] = true
    if not made[name] then unknown[#unknown + 1] = name end
    return open .. (made[name] and made[name] .. "\n" or old) .. "<!-- end -->"
  end)
  return renewed, used, unknown
end

--- Writes the made parts of all READMEs.
function docs.write()
  local made = docs.made()
  for _, path in ipairs(docs.files) do
    local text = docs.renew(read(path), made)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
  end
end

--- The fenced blocks of a text in a language: { kind, text, line }; kind follows the language.
function docs.blocks(text, language)
  local blocks, line, open = {}, 0, nil
  for row in (text .. "\n"):gmatch "(.-)\n" do
    line = line + 1
    if open and row:match "^```%s*$" then
      open.text = table.concat(open, "\n") .. "\n"
      if open.language == language then blocks[#blocks + 1] = open end
      open = nil
    elseif open then
      open[#open + 1] = row
    elseif row:match "^```%S" then
      local found, kind = row:match "^```(%w+)%s*(%w*)"
      open = { language = found, kind = kind, line = line }
    end
  end
  assert(not open, "a block that does not end")
  return blocks
end

return docs
