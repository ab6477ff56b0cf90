--- runtime/tables/limits.def against the code: every constant is where the row says, with its
--- value, and every constant that is called a maximum is a row or is named below as none.
local docs = require "spec.support.docs"
local tree = require "spec.lint.tree"

local TABLE = "runtime/tables/limits.def"

-- Maxima that are no limits of their own: sizes of texts and buffers that are cut or checked
-- elsewhere, bounds of options (the schema says those), and derived ones. Constant -> why.
local NOT_A_LIMIT = {}
for reason, names in pairs {
  ["a text that is cut at it"] = [[
    WR_ERROR_MESSAGE_MAX WR_SCRIPT_FILE_MAX WR_SCRIPT_MESSAGE_MAX WR_SCRIPT_TRACEBACK_MAX
    WR_TRAIL_NAME_MAX WR_SLOT_REQUEST_MAX WR_SLOT_ROUTE_MAX WR_SERIES_HELP_MAX PATH_MAX_BYTES
    PROBLEM_MAX WR_HISTORY_WHY_MAX]],
  ["a buffer that the limits above it keep large enough"] = [[
    WR_SERVER_READ_MAX WR_OUTPUT_PIECES_MAX FIXED_MAX WR_FRAMING_OPTIONS_MAX
    WR_BODY_CHUNK_HEAD_MAX SIZE_DIGITS_MAX OUT_MAX LINGER_MAX WR_UPLOAD_MAX LINE_MAX_BYTES
    WR_H2_LINK_KEY_MAX REQUEST_MAX ANSWER_MAX MESSAGE_MAX
    WR_ROUTE_ALLOW_MAX WR_ROUTE_METHODS_TEXT_MAX WR_CANDIDATE_ADDRESS_MAX WR_CANDIDATE_PLACE_MAX
    WR_MAILBOX_PAYLOAD_MAX
    URL_REGION_MAX WR_DNS_TEXT_MAX WR_DNS_ADDRESSES_MAX WR_ADMIN_ADDRESS_MAX WR_ADMIN_PATH_MAX
    WR_CLI_OPTIONS_MAX WR_SERVER_SLACK_MAX READ_MAX SEAL_MAX RECORD_MAX ANSWER_MAX
    WHO_MAX CREDENTIALS_MAX EVENT_MAX]],
  ["a standard's own"] = [[
    WR_AUTHORITY_NAME_MAX HOST_MAX WR_DNS_NAME_MAX WR_ROUTE_HOST_MAX REQUEST_ID_MAX
    GRPC_TIMEOUT_MAX]],
  ["bounds an option of C callers; the defaults are rows"] = [[
    WR_ARENA_BYTES_MAX WR_CACHE_BYTES_MAX WR_LEDGER_ROWS_MAX WR_REGISTRY_ENTRIES_MAX
    WR_SERIES_MAX WR_SLAB_OBJECT_MAX WR_DURATION_MAX CONSECUTIVE_MAX MIN_CALLS_MAX
    WR_SERIES_LABELS_MAX]],
  ["arithmetic of a primitive"] = [[
    WR_BREAKER_TRIPS_MAX COUNT_MAX SMOOTH_MAX WR_PATTERN_CAPTURES_MAX WR_PATTERN_DEPTH_MAX]],
  ["the same number as a row, by its name"] = [[
    WR_REQUEST_PARAMS_MAX DEPTH_MAX]],
  ["a pool that is only smaller past it"] = [[
    IDLE_MAX]],
  ["slows a restart down"] = [[
    QUICK_DEATHS_MAX]],
  ["the command line's own: what it asks, shows and suggests"] = [[
    WR_CLIENT_BODY_MAX WR_COLUMNS_MAX WR_COLUMNS_CELL_MAX LINE_MAX AGE_MAX WR_SUGGEST_MAX
    WR_SUGGEST_LEN_MAX TEXT_MAX]],
  ["a word for a metric's type"] = [[
    GAUGE_MAX]],
  ["reads a file of the system"] = [[
    FILE_MAX]],
} do
  for name in names:gmatch "%S+" do NOT_A_LIMIT[name] = reason end
end

-- What a constant is set to in a text: `NAME = VALUE`, `.name = VALUE`, `#define NAME VALUE`.
local function definitions(text, constant)
  local list = {}
  local code = text:gsub("//[^\n]*", "")
  for before, value in code:gmatch("([%w_.>]*)" .. constant .. "%s*=%s*([^=,;}\n][^,;}\n]*)") do
    if before == "" or before:match "[.>]$" then list[#list + 1] = docs.value(value) end
  end
  for value in code:gmatch("#define%s+" .. constant .. "%s+([^\n]+)") do
    list[#list + 1] = docs.value(value)
  end
  return list
end

local function check_row(row, read)
  local _, name, value, unit, path, constant, bites = unpack(row)
  local due = docs.value(value)
  if not due then return ("%s: '%s' is no value"):format(name, value) end
  if not ({ BYTES = 1, NS = 1, COUNT = 1 })[unit] then return name .. ": unit is " .. unit end
  if bites == "" then return name .. ": says not what happens" end
  for _, found in ipairs(definitions(read(path), constant)) do
    if found == due then return nil end
  end
  return ("%s: %s does not set %s to %s"):format(name, path, constant, value)
end

local function check_table(rows, read)
  local problems = {}
  for _, row in ipairs(rows) do problems[#problems + 1] = check_row(row, read) end
  return problems
end

-- Constants called a maximum: in an enum or a #define.
local function maxima(text)
  local found = {}
  local code = text:gsub("//[^\n]*", "")
  for list in code:gmatch "enum[%s%w_]*(%b{})" do
    for name in list:gmatch "([%u%d_]+MAX[%u%d_]*)%s*=" do found[#found + 1] = name end
  end
  for name in code:gmatch "#define%s+([%u%d_]+MAX)%s+%S" do found[#found + 1] = name end
  return found
end

local function check_maxima(path, text, rows)
  local problems = {}
  for _, name in ipairs(maxima(text)) do
    local is_known = NOT_A_LIMIT[name]
    for _, row in ipairs(rows) do is_known = is_known or (row[6] == name) end
    if not is_known then
      problems[#problems + 1] = ("%s: %s has no row in %s"):format(path, name, TABLE)
    end
  end
  return problems
end

describe("the table of limits", function()
  local rows = docs.rows(TABLE, "WR_LIMIT")

  it("says what the code says", function()
    tree.expect_none(check_table(rows, tree.read))
  end)

  it("knows every maximum of the code", function()
    local paths = tree.files("^runtime/.*%.[ch]$")
    tree.expect_none(tree.gather(paths, function(path, text)
      return check_maxima(path, text, rows)
    end))
  end)

  it("names metrics that exist", function()
    local metrics = tree.read "runtime/tables/metrics.def"
    for _, row in ipairs(rows) do
      for metric in row[7]:gmatch "`(weir_[%w_]+)`" do
        assert.is_truthy(metrics:find('"' .. metric .. '"', 1, true), metric)
      end
    end
  end)

  it("fails for another value, another place and a missing row", function()
    local function read() return "enum { A_MAX = 2 * 1024 };\n#define B_MAX (3 * WR_SECOND)\n" end
    local function row(value, constant)
      return { "X", "x", value, "BYTES", "a.c", constant, "400" }
    end
    assert.equal(0, #check_table({ row("2048", "A_MAX"), row("3000000000", "B_MAX") }, read))
    assert.equal(1, #check_table({ row("2047", "A_MAX") }, read))
    assert.equal(1, #check_table({ row("2048", "C_MAX") }, read))
    assert.equal(1, #check_table({ row("many", "A_MAX") }, read))
    assert.equal(2, #check_maxima("a.c", read(), {}))
    assert.equal(1, #check_maxima("a.c", read(), { row("2048", "A_MAX") }))
  end)
end)
