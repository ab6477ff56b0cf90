--- Names: the symbol tells the file (DESIGN.md §3, research/aesthetics.md §5.2).
---
--- A function that other files can see is `wr_<file>_<verb>`. What else is allowed:
---   1. any .c of a folder may implement a header of that folder: http/connection.c may define
---      `wr_exchange_end` because http/exchange.h exists (`x_internal.h` counts as `x.h`);
---   2. a header may carry a second type: `wr_deferred_init` in loop/loop.h, which declares
---      `struct wr_deferred`, as long as no deferred.h exists to look for it in;
---   3. the names in WORDS.
--- `bind_<concept>.c` exports `wr_bind_<concept>…` alone: rules 1 and 2 do not hold there.
local tree = require "spec.lint.tree"

local WORDS = {
  wr_free = "the heap has words that all know",
  wr_realloc = "same", wr_strdup = "same", wr_strndup = "same",
}

local JUNK = {}
for word in ("util utils common misc helper helpers"):gmatch "%S+" do JUNK[word] = true end

local function stem_of(path)
  return (path:match "([^/]+)%.[%w]+$":gsub("_internal$", ""))
end

local function starts_with(name, prefix)
  return name == prefix or name:sub(1, #prefix + 1) == prefix .. "_"
end

-- Headers of the folder of `path`: stem -> text.
local function headers_beside(path)
  local folder, headers = path:match "^(.*/)", {}
  for _, header in ipairs(tree.files "^runtime/.*%.h$") do
    if header:match "^(.*/)" == folder then
      headers[stem_of(header)] = (headers[stem_of(header)] or "") .. tree.read(header)
    end
  end
  return headers
end

local function is_named_well(name, path, headers)
  local stem = stem_of(path)
  if WORDS[name] or starts_with(name, "wr_" .. stem) then return true end
  if stem:match "^bind_" then return false end
  for header, text in pairs(headers) do
    if starts_with(name, "wr_" .. header) then return true end
    for second in ("\n" .. text):gmatch "\nstruct wr_([%w_]+)%s*[{;]" do
      local declared = text:find("%f[%w_]" .. name .. "%s*%(")
      local is_second = declared and headers[second] == nil
      if is_second and starts_with(name, "wr_" .. second) then return true end
    end
  end
  return false
end

local function check_functions(path, text, headers)
  local problems = {}
  local function visit(f, is_public)
    if is_public and not is_named_well(f.name, path, headers) then
      problems[#problems + 1] = tree.at(path, f.line,
        "names: %s is seen by other files: call it wr_%s_<verb>, or move it to the file it names, "
        .. "or make it static", f.name, stem_of(path))
    elseif not is_public and f.name:match "^wr_" then
      problems[#problems + 1] = tree.at(path, f.line,
        "names: static %s is seen by this file alone: drop the wr_ prefix", f.name)
    end
  end
  local is_header = path:match "%.h$"
  for _, f in ipairs(tree.functions(text)) do
    -- The one name that C chose.
    if f.name ~= "main" then visit(f, is_header or not f.static) end
  end
  if is_header then
    for _, f in ipairs(tree.declarations(text)) do visit(f, true) end
  end
  return problems
end

local function check_types(path, text)
  local problems = {}
  for i, line in ipairs(tree.lines(tree.code(text))) do
    local kind, name = line:match "^(%a+)%s+([%w_]+)%s*{"
    local is_type = kind == "struct" or kind == "enum" or kind == "union"
    if is_type and path:match "%.h$" and not name:match "^wr_" then
      problems[#problems + 1] = tree.at(path, i, "names: %s %s is public: call it wr_%s",
        kind, name, name)
    end
    if line:match "^%s*typedef%s" then
      local pointer = line:match "%(%*([%w_]+)%)"
      if not pointer then
        problems[#problems + 1] = tree.at(path, i,
          "names: typedef is for function pointers alone: write struct/enum wr_x at each use")
      elseif not (pointer:match "_fn$" or pointer:match "_cb$") then
        problems[#problems + 1] = tree.at(path, i,
          "names: a function pointer type ends in _fn, a callback in _cb: rename %s", pointer)
      end
    end
  end
  return problems
end

local function check_file_name(path)
  if not JUNK[stem_of(path)] then return {} end
  return { tree.at(path, 1, "names: a drawer for junk: name the file after the one idea it holds") }
end

local function c_files() return tree.files("^runtime/.*%.[ch]$") end

describe("names", function()
  it("of functions tell their file", function()
    tree.expect_none(tree.gather(c_files(), function(path, text)
      return check_functions(path, text, headers_beside(path))
    end))
  end)

  it("of public types start with wr_, and structs have no second name", function()
    tree.expect_none(tree.gather(c_files(), check_types))
  end)

  it("of files name an idea", function()
    local paths = tree.files("^runtime/.*%.%w+$", "^lua/.*%.lua$", "^policies/.*%.lua$",
      "^spec/.*%.%w+$")
    tree.expect_none(tree.gather(paths, check_file_name))
  end)

  it("of functions are judged by the rules at the head of this file", function()
    local second = "struct wr_deferred {\n};\nvoid wr_deferred_init(void);\n"
    local headers = { exchange = "", loop = second }
    local cases = {
      { "runtime/http/uri.c", "int wr_uri_parse(int a)\n{\n}\n", nil, "its own file" },
      { "runtime/http/connection.c", "int wr_exchange_end(int a)\n{\n}\n", nil, "rule 1" },
      { "runtime/loop/loop.c", "void wr_deferred_init(void)\n{\n}\n", nil, "rule 2" },
      { "runtime/base/alloc.c", "void wr_free(void *p)\n{\n}\n", nil, "rule 3" },
      { "runtime/script/bind_http.c", "void wr_bind_http(int L)\n{\n}\n", nil, "a binding" },
      { "runtime/http/uri.c", "static int parse(int a)\n{\n}\n", nil, "a plain static" },
      { "runtime/main.c", "int main(void)\n{\n}\n", nil, "main" },
      { "runtime/http/uri.c", "int parse(int a)\n{\n}\n", "other files", "no prefix" },
      { "runtime/http/uri.c", "int wr_pool_get(int a)\n{\n}\n", "other files", "elsewhere" },
      { "runtime/http/uri.c", "int wr_uris(int a)\n{\n}\n", "other files", "a longer word" },
      { "runtime/script/bind_http.c", "int wr_exchange_x(int a)\n{\n}\n", "other", "a binding" },
      { "runtime/http/uri.c", "static int wr_uri_x(int a)\n{\n}\n", "drop", "a prefix" },
      { "runtime/http/uri.h", "int wr_pool_get(int a);\n", "seen by other files", "declaration" },
      { "runtime/http/uri.h", "static inline int get(int a)\n{\n}\n", "other files", "inline" },
    }
    for _, case in ipairs(cases) do
      local problem = check_functions(case[1], case[2], headers)[1]
      assert.equal(case[3] ~= nil, problem ~= nil, case[4])
      if case[3] then assert.is_truthy(problem:find(case[3], 1, true), problem) end
    end
  end)

  it("of types and files are judged too", function()
    assert.equal(1, #check_types("a.h", "struct pool {\n"))
    assert.equal(0, #check_types("a.c", "struct pool {\n"))
    assert.equal(1, #check_types("a.h", "typedef struct wr_a wr_a;\n"))
    assert.equal(1, #check_types("a.h", "typedef void (*wr_done)(int a);\n"))
    assert.equal(0, #check_types("a.h", "typedef void (*wr_done_cb)(int a);\n"))
    assert.equal(1, #check_file_name "runtime/base/util.c")
    assert.equal(0, #check_file_name "runtime/base/utility_bill.c")
  end)
end)
