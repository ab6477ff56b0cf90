--- The stubs in lua/weir/_meta against what scripts really see, names and parameters, both ways.
---
--- The live side is build/<preset>/api_list, which walks a state (spec/support/api.lua); fields
--- that C answers by comparing the key are read from its source.
local docs = require "spec.support.docs"
local tree = require "spec.lint.tree"

-- Names that a C function of `path` compares a key with, or sets on a table.
local function c_names(path, pattern, from, to)
  local text = tree.read(path)
  text = text:sub(assert(text:find(from, 1, true)), to and text:find(to, 1, true))
  local names = {}
  for name in text:gmatch(pattern) do names[name] = { type = "field" } end
  assert(next(names), "no name found in " .. path)
  return names
end

local function add(to, names)
  for name, what in pairs(names) do to[name] = to[name] or what end
end

local function live()
  local api = docs.api()
  api.modules, api.options, api.rules = nil, nil, nil
  add(api["weir.Response"], c_names("runtime/script/bind_response.c", 'strcmp%(key, "([%w_]+)"%)',
    "static int l_response_index", "static int l_response_newindex"))
  local set = 'lua_setfield%(L, %-2, "([%w_]+)"%)'
  api["weir.Error"] = c_names("runtime/script/bind_error.c", set, "void wr_bind_error_push",
    "int wr_bind_error_fail")
  add(api["weir.Error"], c_names("runtime/script/fetch.c", 'setfield%(t%->co, %-2, "([%w_]+)"%)',
    "static void fail"))
  local tls, text = "runtime/script/bind_tls.c", 'set_%a+%(L, "([%w_]+)"'
  for class, part in pairs {
    ["weir.TlsClient"] = { "static void push_client", "void wr_bind_tls_push" },
    ["weir.Tls"] = { "void wr_bind_tls_push", "int wr_bind_tls(" },
  } do
    api[class] = c_names(tls, text, part[1], part[2])
    add(api[class], c_names(tls, set, part[1], part[2]))
  end
  return api
end

-- "fun(self: X, a?: b, ...: any)" -> "self, a, ..."; nil for what is no function.
local function parameters(kind)
  local inside = kind:match "^async fun(%b())" or kind:match "^fun(%b())"
  if not inside then return nil end
  local names = {}
  local flat = inside:sub(2, -2):gsub("%b()", ""):gsub("%b<>", ""):gsub("%b{}", "")
  for one in (flat .. ","):gmatch "(.-)," do
    local name = one:match "^%s*([%w_.]+)"
    if name then names[#names + 1] = name end
  end
  return table.concat(names, ", ")
end

--- Fields of the classes in annotated Lua: class -> name -> { kind, place }.
local function stubs_of(path, text, classes)
  local class
  for i, line in ipairs(tree.lines(text)) do
    local opened = line:match "^%-%-%-@class ([%w_.]+)"
    if opened then
      class = classes[opened] or {}
      classes[opened] = class
    elseif not line:match "^%s*%-%-" then
      class = nil
    end
    local name, kind = line:match "^%-%-%-@field ([%w_]+)%??%s+(.+)$"
    if class and name then
      class[name] = { kind = kind, place = ("%s:%d"):format(path, i) }
    end
  end
  return classes
end

local function stubs()
  local classes = {}
  for _, path in ipairs(tree.files "^lua/weir/_meta/.*%.lua$") do
    stubs_of(path, tree.read(path), classes)
  end
  return classes
end

-- The parameters in the source line where a Lua function begins; methods get their self.
local function source_parameters(what)
  local line = tree.lines(tree.read("lua/" .. what.file))[what.line]
  local head, inside = line:match "function%s*([%w_.:]*)(%b())"
  assert(inside, ("%s:%d: no function here"):format(what.file, what.line))
  local names = inside:sub(2, -2)
  if head:find(":", 1, true) then names = names == "" and "self" or "self, " .. names end
  return names
end

local function compare_function(class, name, what, stub)
  if what.type ~= "function" or not what.file then return nil end
  local due = source_parameters(what)
  if due:find "%f[%w_]_%f[^%w_]" then return nil end -- a closure that names only what it uses
  local given = parameters(stub.kind)
  if given == due or (given and given:gsub("^self, ", "") == due:gsub("^[%w_]+, ", "")
    and due:find "^self") then
    return nil
  end
  -- A constructor behind a closure names its arguments for all of its kinds.
  if class == "weir.metrics" and due:find(given, 1, true) == 1 then return nil end
  return ("%s: %s.%s takes (%s), lua/%s:%d says (%s)"):format(stub.place, class, name,
    given or "no function", what.file, what.line, due)
end

local function compare(api, classes)
  local problems = {}
  local function complain(...) problems[#problems + 1] = (...):format(select(2, ...)) end
  for class, members in pairs(api) do
    local known = classes[class]
    if not known then complain("no stub for class %s", class) end
    for name, what in pairs(members) do
      local stub = known and known[name]
      if known and not stub then
        complain("%s.%s exists and has no stub in lua/weir/_meta", class, name)
      elseif stub then
        local problem = compare_function(class, name, what, stub)
        if problem then complain("%s", problem) end
      end
    end
  end
  for class, members in pairs(classes) do
    for name, stub in pairs(members) do
      if not (api[class] or {})[name] then
        complain("%s: %s.%s does not exist", stub.place, class, name)
      end
    end
  end
  table.sort(problems)
  return problems
end

-- What only policies set, so that no code of ours makes it.
local BY_POLICIES = { ["weir.Error"] = { cause = { type = "field" } } }

-- Things that a policy's author meets as objects, one stub each.
local OBJECTS = { "weir", "weir.json", "weir.http", "weir.log", "weir.metrics", "weir.Request",
  "weir.Response", "weir.Headers", "weir.Upstream", "weir.Cache", "weir.HttpCache", "weir.Health",
  "weir.Flag", "weir.Chaos", "weir.Policy", "weir.Layer", "weir.Error", "weir.Counter",
  "weir.Gauge", "weir.Histogram", "weir.core" }

describe("the stubs in lua/weir/_meta", function()
  local api, classes

  setup(function()
    api, classes = live(), stubs()
    for class, names in pairs(BY_POLICIES) do add(api[class], names) end
  end)

  it("say what scripts see, no more and no less", function()
    tree.expect_none(compare(api, classes))
  end)

  it("cover every object", function()
    for _, class in ipairs(OBJECTS) do
      assert.is_table(api[class], class)
      assert.is_truthy(next(api[class]), class .. " is empty")
    end
  end)

  it("fail for a name that is missing on either side", function()
    for _, class in ipairs(OBJECTS) do
      local name = next(classes[class])
      local kept = classes[class][name]
      classes[class][name] = nil
      local found = compare(api, classes)
      classes[class][name] = kept
      assert.equal(1, #found, class .. "." .. name)
      assert.is_truthy(found[1]:find(class .. "." .. name .. " exists and has no stub", 1, true))

      classes[class].planted = { kind = "string", place = "planted" }
      found = compare(api, classes)
      classes[class].planted = nil
      assert.same({ ("planted: %s.planted does not exist"):format(class) }, found)
    end
  end)

  it("fail for a parameter of another name", function()
    local stub = classes["weir.Cache"].get
    local kind = stub.kind
    stub.kind = kind:gsub("key: string", "name: string")
    local found = compare(api, classes)
    stub.kind = kind
    assert.equal(1, #found)
    assert.is_truthy(found[1]:find("weir.Cache.get takes", 1, true), found[1])
  end)

  it("say of each function that waits that it does", function()
    for _, path in ipairs(tree.files "^lua/weir/[%w_]+%.lua$") do
      local lines = tree.lines(tree.read(path))
      for i, line in ipairs(lines) do
        local owner, name = line:match "^function (%u%l*)[.:]([%w_]+)"
        local above, is_async = i - 1, false
        while owner and lines[above]:match "^%-%-%-" do
          is_async = is_async or lines[above]:match "^%-%-%-@async" ~= nil
          above = above - 1
        end
        local class = ({ Cache = "weir.Cache", Upstream = "weir.Upstream" })[owner]
        if path:match "http" and owner == "M" then class = "weir.http" end
        if path:match "tasks" and owner == "M" then class = "weir" end
        local stub = class and classes[class][name]
        if stub then
          assert.equal(is_async, stub.kind:match "^async" ~= nil, path .. ": " .. line)
        end
      end
    end
  end)
end)
