--- packaging/weir.service, as systemd reads it.
local gateway = require "spec.support.gateway"
local json = require "cjson"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local UNIT = "packaging/weir.service"
local EXPOSURE_MAX = 1.6

local function run(...)
  local p = process.spawn { "/usr/bin/systemd-analyze", ... }
  p:wait(60)
  local out, err, code = p:stdout(), p:stderr(), p.code
  p:kill()
  return code, out, err
end

local function slurp(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

local pwd = io.popen "pwd"
local here = pwd:read "*l"
pwd:close()

-- What systemd calls its own finding: "→ Overall exposure level for weir.service: 1.5 OK".
local function exposure_of(path)
  local _, out, err = run("security", "--offline=true", "--no-pager", path)
  return tonumber(out:match "Overall exposure level for [^:]+: ([%d.]+)") or error(out .. err)
end

-- A copy that is changed by `change`, below its own name.
local function with_copy(change, f)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  local path = folder .. "/weir.service"
  local file = io.open(path, "w")
  file:write((change(slurp(UNIT))))
  file:close()
  local results = { f(path) }
  os.execute("rm -r " .. folder)
  return unpack(results)
end

-- Adds the system calls of a group to `set`, or of one that stands for itself: name -> value.
local function expand(set, name, value)
  if name:sub(1, 1) ~= "@" then
    set[name] = value
    return
  end
  local code, out, err = run("syscall-filter", "--no-pager", name)
  assert.equal(0, code, err)
  for member in out:gmatch "\n%s+([@%w_-]+)" do expand(set, member, value) end
end

-- What the unit's SystemCallFilter= lines allow, one after the other.
local function calls_of_filter(text)
  local allowed = {}
  for tilde, names in text:gmatch "\nSystemCallFilter=(~?)([^\n]+)" do
    for name in names:gmatch "%S+" do expand(allowed, name, tilde == "" or nil) end
  end
  return allowed
end

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.listen "unix:$(path)"
  weir.route("GET /x", function() return "$(text)" end)
]]

-- The names of the system calls of all processes of a weir that does what weirs do.
local function calls_of_a_life()
  local trace, path = os.tmpname(), os.tmpname()
  os.remove(path)
  local g = gateway.start { MAIN, path = path, text = "one", watch = true, under = {
    "/usr/bin/strace", "-D", "-f", "-qq", "-o", trace, "--" } }
  assert.equal("one", g:get("/x").body)
  g.vars.path, g.vars.text = path .. "2", "two"
  assert.equal("live", g:reload({ MAIN }).result)
  assert.equal("two", g:get("/x").body)
  g:expect "worker.exit"
  local pid = g:pids()[1]
  assert(os.execute("kill -KILL " .. pid) == 0)
  wait.for_("another worker", function() return g:pids()[1] ~= pid end)
  g:workers_live()
  local master = g.process.pid
  g:stop()
  local text = wait.for_("the trace to end", function()
    local all = slurp(trace)
    return all:match("\n" .. master .. " +exit_group") and all
  end)
  os.remove(trace)
  local called = {}
  for name in text:gmatch "\n%d+ +([%w_]+)%(" do called[name] = true end
  return called
end

describe("the unit", function()
  it("exposes no more than it must", function()
    local exposure = exposure_of(UNIT)
    assert.is_true(exposure <= EXPOSURE_MAX, "exposure " .. exposure)
  end)

  it("is measured by what it says", function()
    local worse = with_copy(function(text) return text:gsub("NoNewPrivileges=yes\n", "", 1) end,
      exposure_of)
    assert.is_true(worse > exposure_of(UNIT), "exposure " .. worse)
  end)

  it("has no setting that systemd does not know", function()
    local program = here .. "/" .. process.program "weir"
    local function verify(path) return run("verify", "--man=no", path) end
    local function installed(text) return text:gsub("/usr/bin/weir", program) end
    local code, out, err = with_copy(installed, verify)
    assert.same({ 0, "", "" }, { code, out, err })
    local function misspelt(text) return installed(text):gsub("Type=notify", "Typo=notify") end
    assert.matches("Unknown key 'Typo'", select(3, with_copy(misspelt, verify)))
  end)

  it("runs as the user that weir.sysusers makes", function()
    local root = os.tmpname()
    os.remove(root)
    assert(os.execute("mkdir -p " .. root .. "/etc") == 0)
    local p = process.spawn { "/usr/bin/systemd-sysusers", "--root=" .. root,
      here .. "/packaging/weir.sysusers" }
    local code, err = p:wait(20), p:stderr()
    p:kill()
    assert.equal(0, code, err)
    local made = slurp(root .. "/etc/passwd"):match "^([^:\n]+):"
    os.execute("rm -r " .. root)
    assert.equal(slurp(UNIT):match "\nUser=([^\n]+)", made)
  end)

  it("leaves open what packaging/README.md explains, and nothing else", function()
    local code, out = run("security", "--offline=true", "--json=short", UNIT)
    assert.equal(0, code)
    local unmet = {}
    for _, finding in ipairs(json.decode(out)) do
      if finding.set == false and tonumber(finding.exposure) then
        unmet[#unmet + 1] = finding.json_field
      end
    end
    table.sort(unmet)
    assert.same({ "AmbientCapabilities",
      "CapabilityBoundingSet_CAP_NET_BIND_SERVICE_BROADCAST_RAW)",
      "DeviceAllow", "IPAddressDeny", "PrivateNetwork", "PrivateUsers",
      "RestrictAddressFamilies_AF_INET_INET6", "RestrictAddressFamilies_AF_UNIX",
      "RootDirectoryOrRootImage", "SystemCallFilter_privileged" }, unmet)
  end)

  -- LeakSanitizer calls ptrace, and is none of weir's.
  if process.preset() == "asan" then return end

  it("lets weir call what it calls: start, reload, requests, another worker, drain", function()
    local allowed, called = calls_of_filter(slurp(UNIT)), calls_of_a_life()
    for _, name in ipairs { "seccomp", "accept4", "bind", "memfd_create", "signalfd4" } do
      assert.is_true(called[name], "not seen: " .. name)
    end
    local missing = {}
    for name in pairs(called) do
      if not allowed[name] then missing[#missing + 1] = name end
    end
    assert.same({}, missing)
  end)
end)
