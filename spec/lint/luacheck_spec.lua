--- Lua passes luacheck with the settings of .luacheckrc: no warning, no unknown global.
local tree = require "spec.lint.tree"

local function luacheck(arguments)
  local command = "luacheck --no-color --codes --formatter plain " .. arguments .. " 2>&1; echo $?"
  local pipe = assert(io.popen(command))
  local output = pipe:read "*a"
  pipe:close()
  return output:match "^(.-)(%d+)%s*$"
end

describe("luacheck", function()
  it("has nothing to say", function()
    local paths = tree.files("^lua/.*%.lua$", "^policies/.*%.lua$", "^spec/.*%.lua$",
      "^bench/.*%.lua$")
    assert.is_true(#paths > 0)
    local output, status = luacheck(table.concat(paths, " "))
    assert(status == "0", output)
  end)

  it("sees an unknown global and an unused variable", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write "local unused = 1\nunknown_global()\n"
    file:close()
    local output, status = luacheck("--config .luacheckrc " .. path)
    os.remove(path)
    assert.not_equal("0", status)
    assert.is_truthy(output:find("W211", 1, true) and output:find("W113", 1, true), output)
  end)
end)
