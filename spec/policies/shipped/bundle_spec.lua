--- What all shipped policies have in common.
local docs = require "spec.support.docs"
local process = require "spec.support.process"
local tree = require "spec.lint.tree"

local function check(path, ...)
  local child = process.spawn { process.program "weir", "check", path, ... }
  return child:wait(20), child:stdout(), child:stderr()
end

local function names()
  local list = {}
  for _, path in ipairs(tree.files "^policies/[%w_]+%.lua$") do
    list[#list + 1] = path:match "([%w_]+)%.lua$"
  end
  assert(#list > 5)
  return list
end

describe("shipped policies", function()
  it("are modules of the installed program: name, version, schema, handle", function()
    local lines = { "local weir = require 'weir'" }
    for _, name in ipairs(names()) do
      lines[#lines + 1] = ([[
        do
          local m = require "weir.policies.%s"
          assert(m.name == "%s", m.name)
          assert(m.version:find "^%%d+%%.%%d+%%.%%d+$")
          assert(type(m.schema.rows) == "function" and type(m.handle) == "function")
          local fine, message = pcall(m.handle, { name = "x", nonsense = 1 })
          assert(not fine and message:find("unknown option 'nonsense'", 1, true), message)
        end]]):format(name, name)
    end
    local path = docs.file(table.concat(lines, "\n"))
    local code, _, err = check(path)
    os.remove(path)
    assert.equal(0, code, err)
  end)

  for _, name in ipairs(names()) do
    it("have an example without warnings, a spec and a place in the README: " .. name, function()
      local code, out, err = check(("policies/examples/%s.lua"):format(name), "--strict")
      assert.equal(0, code, out .. err)
      assert.is_truthy(tree.read(("spec/policies/shipped/%s_spec.lua"):format(name)))
      local readme = tree.read "policies/README.md"
      assert.is_truthy(readme:find("made: options policy " .. name:gsub("_", " "), 1, true))
    end)
  end

  it("say at the caller's line what they need", function()
    local path = docs.file("local weir = require 'weir'\n\n"
      .. "local h = require('weir.policies.retry').handle { name = 'x' }\n")
    local code, _, err = check(path)
    os.remove(path)
    assert.equal(78, code)
    assert.is_truthy(err:find("give either `upstream` or `call`", 1, true), err)
    assert.is_truthy(err:find(":3", 1, true), err)
  end)
end)
