-- What an operator does to named primitives: the admin listener's lists and actions, and the verbs
-- of the command line that ask for them.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"

describe("actions on named primitives", function()
  local g

  setup(function()
    g = gateway.start { workers = 2, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      local guarded = weir.policy("a shop/x & y", { weir.breaker {} })
      weir.route("GET /x", function() return guarded(function() return "fine" end) end)
    ]] }
    g:expect "admin.action"
    g:expect "breaker.transition"
  end)
  teardown(function() g:stop() end)

  local function weir(arguments)
    local command = { process.program "weir" }
    for _, argument in ipairs(arguments) do command[#command + 1] = argument end
    command[#command + 1] = "--admin"
    command[#command + 1] = g.admin
    local child = process.spawn(command)
    local code = child:wait()
    return code, child:stdout(), child:stderr()
  end

  it("lists a kind as JSON and as a table", function()
    local code, out = weir { "breaker", "ls", "--json" }
    assert.equal(0, code)
    local list = json.decode(out)
    assert.equal(1, #list)
    assert.equal("a shop/x & y", list[1].name)
    assert.equal("closed", list[1].state)
    code, out = weir { "breaker", "ls" }
    assert.equal(0, code)
    assert.matches("a shop/x & y +closed", out)
  end)

  it("opens a breaker for all workers until it is told otherwise", function()
    assert.equal(200, g:get("/x").status)
    local code, told = weir { "breaker", "open", "a shop/x & y" }
    assert.equal(0, code)
    assert.equal("breaker 'a shop/x & y': refuses every call until `auto`\n", told)
    for _ = 1, 10 do assert.equal(503, g:get("/x").status) end
    assert.equal(0, (weir { "breaker", "auto", "a shop/x & y" }))
    for _ = 1, 10 do assert.equal(200, g:get("/x").status) end
  end)

  it("says what it does not know", function()
    for _, case in ipairs {
      { { "breaker", "open", "nix" }, 1, "there is no breaker 'nix'" },
      { { "breaker", "opne", "nix" }, 2, "unknown action 'opne' %(did you mean 'open'%?%)" },
      { { "breaker", "open" }, 2, "open needs a NAME" },
    } do
      local code, out, err = weir(case[1])
      assert.equal(case[2], code)
      assert.equal("", out)
      assert.matches(case[3], err)
    end
  end)

  it("changes nothing by GET, and knows its paths", function()
    assert.equal(405, g:ask("GET", "/breakers/open?name=a%20shop/x%20%26%20y").status)
    assert.equal(404, g:ask("POST", "/breakers/burn?name=x").status)
    assert.equal(400, g:ask("POST", "/breakers/open").status)
    assert.equal(400, g:ask("POST", "/breakers/open?name=a%20shop/x%20%26%20y&value=1").status)
    assert.equal(405, g:ask("POST", "/breakers").status)
    assert.equal(200, g:get("/x").status)
  end)
end)
