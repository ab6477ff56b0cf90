--- runtime/admin/openapi.json against what the admin listener serves: each way round.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local tree = require "spec.lint.tree"

-- "breaker" -> "breakers": the kinds that have a list.
local function plurals()
  local found = {}
  local source = tree.read "runtime/admin/primitives.c"
  for kind, plural in source:gmatch '%[WR_KIND_([%u_]+)%] = {"(%w+)"' do
    found[kind:lower()] = plural
  end
  return found
end

-- What the sources serve: "GET /status" -> { doc, argument } of an action, or true.
local function served()
  local all = { ["GET /events"] = true, ["GET /lines"] = true, ["GET /"] = true,
    ["GET /openapi.json"] = true, ["GET /log"] = true, ["POST /log"] = true }
  local plural = plurals()
  for path in tree.read("runtime/admin/admin.c"):gmatch '{"(/[%w_/]+)", get_' do
    all["GET " .. path] = true
  end
  for path, post in tree.read("runtime/admin/asks.c"):gmatch '{"(/[%w_/]+)",%s*(%l+),' do
    all[(post == "true" and "POST " or "GET ") .. path] = true
  end
  for _, list in pairs(plural) do all["GET /" .. list] = true end
  local rows = tree.read("runtime/tables/actions.def"):gsub("//[^\n]*", "")
  for kind, verb, argument, doc in rows:gmatch
    'WR_ACTION%(%s*[%u_]+,%s*[%u_]+,%s*(%w+),%s*([%w_]+),%s*"([^"]*)",%s*"([^"]*)"' do
    all[("POST /%s/%s"):format(plural[kind], verb)] = { doc = doc, argument = argument }
  end
  return all
end

-- What the file says: the same names -> its operations.
local function described(document)
  local all = {}
  for path, methods in pairs(document.paths) do
    for method, operation in pairs(methods) do all[method:upper() .. " " .. path] = operation end
  end
  return all
end

local function value_of(operation)
  for _, parameter in ipairs(operation.parameters or {}) do
    if parameter.name == "value" then return parameter end
  end
end

describe("openapi.json", function()
  local document, operations

  setup(function()
    document = json.decode(tree.read "runtime/admin/openapi.json")
    operations = described(document)
  end)

  it("has every path that is served, and no other", function()
    local expected, count = served(), 0
    for name in pairs(expected) do
      count = count + 1
      assert.is_truthy(operations[name], name .. " is not in runtime/admin/openapi.json")
    end
    for name in pairs(operations) do assert.is_truthy(expected[name], name .. " is not served") end
    assert.is_true(count > 40, count)
  end)

  it("says of every action what its row says", function()
    local checked = 0
    for name, row in pairs(served()) do
      if row ~= true then
        checked = checked + 1
        local operation = operations[name]
        assert.equal(row.doc, operation.summary, name)
        local value = value_of(operation)
        assert.equal(row.argument ~= "", value ~= nil, name)
        if value then
          assert.equal((row.argument:gsub("^%[(.*)%]$", "%1")), value.description, name)
          assert.equal(row.argument:sub(1, 1) ~= "[", value.required, name)
        end
        assert.equal("#/components/parameters/Name", operation.parameters[1]["$ref"])
      end
    end
    assert.is_true(checked > 10, checked)
  end)

  it("refers to nothing that it does not have", function()
    assert.matches("^3%.1%.", document.openapi)
    local function check(node)
      for key, value in pairs(node) do
        if key == "$ref" then
          local at = document
          for part in value:gmatch "[^#/]+" do at = assert(at[part], value) end
        elseif type(value) == "table" then
          check(value)
        end
      end
    end
    check(document)
    for name, operation in pairs(operations) do
      assert.is_truthy(operation.summary, name)
      assert.is_truthy(operation.responses["200"], name)
    end
  end)

  it("is what a running weir serves, method by method", function()
    local g = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /x", function() return "x" end)
    ]] }
    assert.same(document, json.decode(g:ask("GET", "/openapi.json").body))
    for path, methods in pairs(document.paths) do
      -- With a method of its own nothing happens, and that the path exists is told.
      local other = methods.get and methods.post and "PUT" or methods.get and "POST" or "GET"
      assert.equal(405, g:ask(other, path).status, path)
      if methods.get and path ~= "/events" and path ~= "/lines" then
        local status = g:ask("GET", path).status -- 400: it says what is missing in the query
        assert.is_true(status == 200 or status == 400, path .. ": " .. status)
      end
    end
    assert.equal(404, g:ask("GET", "/nowhere").status)
    g:stop()
  end)
end)
