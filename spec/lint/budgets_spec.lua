--- Budgets (research/aesthetics.md §5.1): what is too long is two things.
local tree = require "spec.lint.tree"

local FUNCTION_LINES, PARAMETERS = 70, 8
local SOURCE_LINES, HEADER_LINES, MODULE_LINES = 500, 250, 300

-- Functions of more than five parameters, which the house style advises against. This number may
-- only shrink: lower it when the spec says so, never raise it.
local WIDE_CEILING = 3

-- Functions whose shape a library asks for. "path name" -> whose it is.
local GIVEN = {
  ["runtime/http/tls.c on_protocols"] = "OpenSSL's callback",
  ["runtime/http/tls.c on_ticket"] = "OpenSSL's callback",
  ["runtime/http/h2_callbacks.c on_header"] = "nghttp2's callback",
  ["runtime/upstream/h2_call.c read_body"] = "nghttp2's callback",
  ["runtime/upstream/h2_events.c on_header"] = "nghttp2's callback",
  ["runtime/upstream/h2_events.c on_invalid_header"] = "nghttp2's callback",
  ["runtime/upstream/h2_events.c on_data"] = "nghttp2's callback",
  ["runtime/http/h2_callbacks.c on_invalid_header"] = "nghttp2's callback",
  ["runtime/http/h2_callbacks.c on_data"] = "nghttp2's callback",
  ["runtime/http/h2_exchange.c read_body"] = "nghttp2's callback",
}

-- path -> { lines, reason }: a file that may grow to `lines`. Starts empty.
local LONG_FILES = {}

local function check_functions(path, text)
  local problems = {}
  for _, f in ipairs(tree.functions(text)) do
    if f.lines > FUNCTION_LINES then
      problems[#problems + 1] = tree.at(path, f.line,
        "budgets: %s has %d lines, the limit is %d: give its parts names of their own",
        f.name, f.lines, FUNCTION_LINES)
    end
    if f.parameters > PARAMETERS then
      problems[#problems + 1] = tree.at(path, f.line,
        "budgets: %s has %d parameters, the limit is %d: pass a struct",
        f.name, f.parameters, PARAMETERS)
    end
  end
  return problems
end

local function budget_of(path)
  if LONG_FILES[path] then return LONG_FILES[path][1] end
  if path:match "%.c$" then return SOURCE_LINES end
  if path:match "%.h$" then return HEADER_LINES end
  return MODULE_LINES
end

local function check_length(path, text)
  local count = #tree.lines(text)
  if count <= budget_of(path) then return {} end
  return { tree.at(path, count, "budgets: %d lines, the limit is %d: split it by idea",
    count, budget_of(path)) }
end

local function median(numbers)
  table.sort(numbers)
  return numbers[math.ceil(#numbers / 2)] or 0
end

-- A function counts once, be it declared, defined or both: statics by their file, others by name.
local function wide_functions()
  local wide, seen = {}, {}
  for _, path in ipairs(tree.files "^runtime/.*%.[ch]$") do
    local text = tree.read(path)
    for _, list in ipairs { tree.functions(text), tree.declarations(text) } do
      for _, f in ipairs(list) do
        local key = f.static and path .. f.name or f.name
        if f.parameters > 5 and not seen[key] and not GIVEN[path .. " " .. f.name] then
          seen[key] = true
          wide[#wide + 1] = tree.at(path, f.line, "%s has %d parameters", f.name, f.parameters)
        end
      end
    end
  end
  return wide
end

local function sources() return tree.files("^runtime/.*%.[ch]$") end

describe("budgets", function()
  it("hold for functions", function()
    tree.expect_none(tree.gather(sources(), check_functions))
  end)

  it("hold for files", function()
    local paths = tree.files("^runtime/.*%.[ch]$", "^lua/weir/.*%.lua$")
    tree.expect_none(tree.gather(paths, check_length))
    for path in pairs(LONG_FILES) do
      assert(io.open(path), path .. " is gone: drop its row"):close()
    end
  end)

  it("for parameters only ever shrink", function()
    local wide = wide_functions()
    local found = ("budgets: %d functions have more than five parameters"):format(#wide)
    assert(#wide <= WIDE_CEILING, ("%s, the ceiling is %d: pass a struct\n%s"):format(
      found, WIDE_CEILING, table.concat(wide, "\n")))
    assert(#wide == WIDE_CEILING, found .. ": lower WIDE_CEILING here to that")
  end)

  it("keep the median function short", function()
    local numbers = {}
    for _, path in ipairs(sources()) do
      for _, f in ipairs(tree.functions(tree.read(path))) do numbers[#numbers + 1] = f.lines end
    end
    print(("budgets: %d functions, median %d lines"):format(#numbers, median(numbers)))
    assert(median(numbers) <= 15, "the house style aims at a median of 12 lines, 15 is the limit")
  end)

  it("are measured from the signature to the closing brace", function()
    local head = "static int f(int a,\n             int (*b)(int, int))\n{\n"
    local long = head .. ("  x();\n"):rep(67) .. "}\n"
    local f = tree.functions("int g(void);\n\n// {\n" .. long)[1]
    assert.same({ "f", 71, 2, true }, { f.name, f.lines, f.parameters, f.static })
    assert.is_truthy(check_functions("a.c", long)[1]:find("71 lines", 1, true))
    assert.equal(0, #check_functions("a.c", (long:gsub("  x%(%);\n", "", 1))))
    assert.equal(1, #check_functions("a.c", "int f(int a" .. (", int x"):rep(8) .. ")\n{\n}\n"))
    assert.equal(0, #check_functions("a.c", "int f(int a" .. (", int x"):rep(7) .. ")\n{\n}\n"))
    assert.equal(1, #check_length("a.c", ("\n"):rep(501)))
    assert.equal(0, #check_length("a.c", ("\n"):rep(500)))
    assert.equal(1, #check_length("a.h", ("\n"):rep(251)))
    assert.equal(1, #check_length("lua/weir/a.lua", ("\n"):rep(301)))
    assert.equal(12, median { 40, 3, 12 })
  end)
end)
