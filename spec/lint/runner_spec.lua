--- What runs these specs: LuaJIT, whatever `lua` means on this machine. Debian's `busted` starts
--- Lua 5.2, and only the `lua` line of .busted turns that into LuaJIT.
describe("the spec runner", function()
  it("is LuaJIT", function()
    assert.is_truthy(rawget(_G, "jit"), "run scripts/test, or busted from the repository's top")
    assert.equal("Lua 5.1", _VERSION)
  end)

  it("is LuaJIT for a plain busted too", function()
    local folder = os.tmpname()
    os.remove(folder)
    local file = assert(io.open(folder .. "_spec.lua", "w"))
    file:write "it('is', function() assert(rawget(_G, 'jit')) end)\n"
    file:close()
    local pipe = assert(io.popen("busted " .. folder .. "_spec.lua 2>&1"))
    local output = pipe:read "*a"
    pipe:close()
    os.remove(folder .. "_spec.lua")
    assert.equal("1 passed, 0 failed\n", output)
  end)
end)
