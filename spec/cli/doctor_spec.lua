--- `weir doctor`: what it finds, what it advises, and when that is a failure.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local ports = require "spec.support.ports"
local process = require "spec.support.process"
local socket = require "socket"

describe("weir doctor", function()
  local children, g, file = {}, nil, nil

  after_each(function()
    for _, child in ipairs(children) do child:kill() end
    children = {}
    if g then g:stop() end
    g = nil
    if file then os.remove(file) end
    file = nil
  end)

  -- Returns the exit code, the findings by check, and what went to stderr.
  local function doctor(command)
    local child = process.spawn(command)
    children[#children + 1] = child
    local code, findings = child:wait(), {}
    local list = json.decode(child:stdout())
    for _, f in ipairs(list) do findings[f.check] = f end
    return code, findings, list
  end

  local function weir(...)
    return doctor { process.program "weir", "doctor", "--json", ... }
  end

  local function write(text)
    file = os.tmpname()
    local out = assert(io.open(file, "w"))
    out:write(text)
    out:close()
    return file
  end

  it("looks at libraries and machine, and says what to do about each warning", function()
    local code, findings, list = weir("--admin", "/nonexistent/x")
    assert.equal(0, code)
    for _, check in ipairs { "luajit", "libcurl", "resolver", "roots", "processors", "memory",
      "descriptors", "backlog", "clock", "time", "names", "seccomp", "arena", "admin" } do
      assert.is_truthy(findings[check], check)
    end
    for _, f in ipairs(list) do
      assert.is_true(#f.found > 0)
      assert.equal(f.result ~= "ok", f.next ~= json.null, f.check)
    end
    assert.equal("ok", findings.luajit.result)
    assert.equal("ok", findings.arena.result)
    assert.equal("warn", findings.admin.result)
    assert.matches("no weir answers at /nonexistent/x: No such file", findings.admin.found)
  end)

  it("prints the same for people", function()
    local child = process.spawn { process.program "weir", "doctor", "-a", "/nonexistent/x" }
    children[#children + 1] = child
    assert.equal(0, child:wait())
    assert.matches("^ok    luajit       LuaJIT 2", child:stdout())
    assert.matches("\nwarn  admin        no weir answers at [^\n]+\n +%-> start one with",
      child:stdout())
  end)

  it("warns of few descriptors", function()
    local _, findings = doctor { "/usr/bin/prlimit", "--nofile=1064", process.program "weir",
      "doctor", "--json" }
    assert.equal("warn", findings.descriptors.result)
    assert.equal("1064 for each process: 500 clients with an upstream connection each",
      findings.descriptors.found)
    assert.matches("LimitNOFILE=", findings.descriptors.next)
  end)

  it("finds the weir that runs, and the addresses of its policy taken by it", function()
    g = gateway.start { workers = 1, [[
      local weir = require "weir"
      weir.listen "127.0.0.1:$(port)"
      weir.route("GET /x", function() return "x" end)]] }
    local code, findings = weir(g.path, "--admin", g.admin)
    assert.equal(0, code)
    assert.equal("ok", findings.admin.result)
    assert.matches(" loads: 1 routes$", findings.policy.found)
    assert.equal(("127.0.0.1:%d is taken, and a weir runs"):format(g.port), findings.address.found)
    assert.equal(200, g:get("/x").status)
  end)

  it("fails for a policy that does not load, and for an address that somebody else has", function()
    local code, findings = weir(write "local weir = require 'weir'\nweir.lisen 'x'")
    assert.equal(1, code)
    assert.equal("fail", findings.policy.result)
    assert.matches("does not load: ", findings.policy.found)
    local taken = assert(socket.bind("127.0.0.1", 0))
    local _, port = taken:getsockname()
    os.remove(file)
    local free = ports.free()
    local list
    code, findings, list = weir(write(([[local weir = require "weir"
      weir.listen "127.0.0.1:%d"
      weir.listen "127.0.0.1:%d"
      weir.route("GET /x", function() return "x" end)]]):format(free, port)), "--admin", "/no/x")
    taken:close()
    assert.equal(1, code)
    assert.equal("ok", findings.policy.result)
    local results = {}
    for _, f in ipairs(list) do
      if f.check == "address" then results[#results + 1] = f.result .. " " .. f.found end
    end
    assert.same({ ("ok 127.0.0.1:%d is free"):format(free),
      ("fail cannot listen on 127.0.0.1:%d: Address already in use"):format(port) }, results)
  end)

  it("knows what is not weir", function()
    local port = ports.free()
    local child = process.spawn { "/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1",
      port }
    children[#children + 1] = child
    require("spec.support.wait").for_("the other server", function()
      local c = socket.connect("127.0.0.1", port)
      return c and c:close()
    end)
    local code, findings = weir("--admin", "127.0.0.1:" .. port)
    assert.equal(1, code)
    assert.matches("%(status 404%) is not weir", findings.admin.found)
  end)
end)
