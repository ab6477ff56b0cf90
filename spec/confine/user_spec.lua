--- Who a weir runs as, and what its processes keep: as the kernel tells it in /proc.
local certificates = require "spec.support.certificates"
local ffi = require "ffi"
local gateway = require "spec.support.gateway"
local members = require "spec.support.members"
local process = require "spec.support.process"
local raw = require "spec.support.raw"
local socket = require "socket"
local tls = require "spec.support.tls_client"
local wait = require "spec.support.wait"

ffi.cdef "unsigned getuid(void);"

local IS_ROOT = ffi.C.getuid() == 0
local NOBODY = "65534"
local NONE, BIND = ("0"):rep(16), ("0"):rep(13) .. "400"

local MAIN = [[
  local weir = require "weir"
  weir.listen "127.0.0.1:$(port)"
  weir.route("GET /x", function() return "ok" end)
]]

local function slurp(path)
  local file = assert(io.open(path))
  local text = file:read "*a"
  file:close()
  return text
end

-- The fields of /proc/PID/status that are about privileges.
local function facts(pid)
  local all, text = {}, slurp("/proc/" .. pid .. "/status")
  for _, name in ipairs { "Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs",
    "Seccomp" } do
    all[name] = text:match("\n" .. name .. ":%s*([^\n]*)"):gsub("%s+", " ")
  end
  return all
end

-- What is equal in the four sets of ids: real, effective, saved, file system.
local function all_four(id)
  return table.concat({ id, id, id, id }, " ")
end

local function assert_confined(pid)
  local f = facts(pid)
  assert.same({ NONE, NONE, NONE, NONE, "1", "2" },
    { f.CapInh, f.CapPrm, f.CapEff, f.CapAmb, f.NoNewPrivs, f.Seccomp })
  local limits = slurp("/proc/" .. pid .. "/limits")
  assert.matches("Max core file size%s+1%s+1%s", limits)
  assert.matches("Max processes%s+0%s+0%s", limits)
  assert.matches("Max locked memory%s+0%s+0%s", limits)
end

-- A port that only privileges open.
local function low_port()
  for port = 1023, 600, -1 do
    local s = socket.bind("127.0.0.1", port)
    if s then
      s:close()
      return port
    end
  end
  error "no port below 1024 is free"
end

local function mkfifo(path)
  assert(os.execute("mkfifo -m 644 " .. path) == 0)
end

-- A child of the master that is no worker.
local function trial_of(g, workers)
  local pipe = io.popen("ps -o pid= --ppid " .. g.process.pid)
  local text = pipe:read "*a"
  pipe:close()
  for pid in text:gmatch "%d+" do
    local is_worker = false
    for _, worker in ipairs(workers) do is_worker = is_worker or worker == tonumber(pid) end
    if not is_worker then return pid end
  end
end

describe("a weir", function()
  local g

  after_each(function()
    if g then g:kill() end
    g = nil
  end)

  it("confines its workers, those that come later too, and says so", function()
    g = gateway.start { MAIN, workers = 2 }
    local pids = g:pids()
    for _, pid in ipairs(pids) do assert_confined(pid) end
    g:expect "worker.exit"
    assert(os.execute("kill -KILL " .. pids[1]) == 0)
    wait.for_("another worker", function() return g:pids()[1] ~= pids[1] end)
    g:workers_live()
    assert_confined(g:pids()[1])
    local c = g:status().confinement
    assert.same({ true, 2, ffi.C.getuid(), true },
      { c.on, c.workers, c.uid, c.master_no_new_privileges })
    assert.equal("1", facts(g.process.pid).NoNewPrivs)
    g:stop()
  end)

  it("confines the trial of a bundle before it reads one", function()
    g = gateway.start { MAIN, workers = 1 }
    local workers = g:pids()
    -- Who opens this waits for a writer.
    mkfifo(g.folder .. "/pipe")
    assert(os.rename(g.folder .. "/pipe", g.path))
    local asking = raw.connect(g.admin_port)
    asking:send "POST /reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    local trial = wait.for_("the trial to read", function()
      local pid = trial_of(g, workers)
      return pid and facts(pid).Seccomp == "2" and pid
    end)
    assert_confined(trial)
    io.open(g.path, "w"):close()
    assert.matches("Invalid argument", asking:response().body)
    g:expect "reload"
    g:stop()
  end)

  it("is not confined with --confine=no, and says that", function()
    g = gateway.start { MAIN, workers = 1, confine = "no" }
    local f = facts(g:pids()[1])
    assert.same({ "0", "0" }, { f.NoNewPrivs, f.Seccomp })
    local c = g:status().confinement
    assert.same({ false, 0 }, { c.on, c.workers })
    assert.equal(f.CapEff == NONE and "" or f.CapEff, c.master_capabilities)
    g:stop()
  end)

  it("does not start where it cannot be confined, unless it need not be", function()
    local under = { process.program "confined", "without-seccomp" }
    local code, err = gateway.fail_to_start { MAIN, under = under }
    assert.equal(77, code)
    assert.matches("cannot filter system calls %(seccomp%): Operation not permitted; weir needs a "
      .. "kernel and a container that let it, or %-%-confine=no", err)
    g = gateway.start { MAIN, under = under, confine = "no" }
    g:stop()
  end)

  it("keeps a core of no process, whether confined or not", function()
    g = gateway.start { MAIN, workers = 1, confine = "no" }
    for _, pid in ipairs { g.process.pid, g:pids()[1] } do
      assert.matches("Max core file size%s+1%s+1%s", slurp("/proc/" .. pid .. "/limits"))
    end
    g:stop()
  end)

  it("says what is wrong with --user and --confine", function()
    local cases = {
      { { user = "nobody-here" }, 2, "there is no user 'nobody%-here'; `getent passwd`" },
      { { user = "nobody:nogroup-here" }, 2, "there is no group 'nogroup%-here'; `getent group`" },
      { { user = "" }, 2, "%-%-user is ''; it must be NAME or NAME:GROUP" },
      { { user = ":nogroup" }, 2, "it must be NAME or NAME:GROUP" },
      { { user = "nobody:" }, 2, "it must be NAME or NAME:GROUP" },
      { { user = "31999" }, 2, "its group must be given: 31999:GROUP" },
      { { user = "4294967296:1" }, 2, "there is no user '4294967296'" },
      { { confine = "maybe" }, 2, "%-%-confine is 'maybe'; it must be yes or no" },
    }
    for _, case in ipairs(cases) do
      case[1][1] = MAIN
      local code, err = gateway.fail_to_start(case[1])
      assert.equal(case[2], code, err)
      assert.matches(case[3], err)
    end
  end)
end)

local AS_NOBODY = { "/usr/bin/setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups" }
-- As systemd does for packaging/weir.service.
local WITH_CAPABILITY = { "--inh-caps", "-all,+net_bind_service", "--ambient-caps",
  "-all,+net_bind_service", "--bounding-set", "-all,+net_bind_service", "--no-new-privs" }

-- Runs weir in `folder` below the words of the lists `under`.
local function start_under(folder, under, ...)
  -- The folder of the build may be ours alone.
  local program = folder .. "/weir"
  assert(os.execute(("cp %s %s && chmod 755 %s %s"):format(process.program "weir", program, folder,
    program)) == 0)
  under[#under + 1] = { program, "run", folder .. "/main.lua", "--workers", "1", ... }
  local command = {}
  for _, words in ipairs(under) do
    for _, word in ipairs(words) do command[#command + 1] = word end
  end
  return process.spawn(command)
end

-- Runs weir as somebody without privileges: ourselves, unless we are root.
local function start_unprivileged(folder, ...)
  return start_under(folder, { IS_ROOT and AS_NOBODY or {} }, ...)
end

local function make_folder()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  return folder
end

local function write_main(folder, text)
  local file = io.open(folder .. "/main.lua", "w")
  file:write(text)
  file:close()
  assert(os.execute("chmod 644 " .. folder .. "/main.lua") == 0)
end

describe("without root's privileges a weir", function()
  local folder, p

  before_each(function()
    folder = make_folder()
  end)

  after_each(function()
    if p then p:kill() end
    os.execute("rm -r " .. folder)
  end)

  local function write(text)
    write_main(folder, text)
  end

  it("confines its workers all the same", function()
    write 'require "weir".listen "127.0.0.1:0"'
    p = start_unprivileged(folder, "--admin", "127.0.0.1:0")
    p:line '"event":"reload","result":"live"'
    local pid = wait.for_("a worker", function() return trial_of({ process = p }, {}) end)
    assert_confined(pid)
    assert.equal(NONE, facts(p.pid).CapEff)
    p:finish()
  end)

  it("cannot become another user, and says who could", function()
    write ""
    p = start_unprivileged(folder, "--admin", "127.0.0.1:0", "--user", "root")
    assert.equal(77, p:wait())
    assert.matches("%-%-user root: only root can become another user: start weir as root, or as "
      .. "root without %-%-user", p:stderr())
  end)

  it("says what a port below 1024 takes, where it takes something", function()
    local first = tonumber(slurp "/proc/sys/net/ipv4/ip_unprivileged_port_start")
    write('require "weir".listen "127.0.0.1:1"')
    p = start_unprivileged(folder, "--admin", "127.0.0.1:0")
    if first <= 1 then -- as in some containers
      p:line '"event":"reload","result":"live"'
      p:finish()
      return
    end
    assert.equal(69, p:wait())
    assert.matches("cannot listen on 127.0.0.1:1: Permission denied: a port below 1024 takes a "
      .. "start as root with %-%-user, or CAP_NET_BIND_SERVICE", p:stderr())
  end)

  it("says who must be allowed to read the scripts", function()
    write ""
    assert(os.execute(("chmod 000 %s/main.lua"):format(folder)) == 0)
    p = start_unprivileged(folder, "--admin", "127.0.0.1:0")
    assert.equal(78, p:wait())
    local uid = IS_ROOT and NOBODY or tostring(ffi.C.getuid())
    assert.matches("main.lua': Permission denied: uid " .. uid .. " must be allowed to",
      p:stderr())
  end)
end)

if not IS_ROOT then
  describe("--user", function()
    it("is only refused here: these specs do not run as root, who alone can change the user",
      function() assert.are_not.equal(0, ffi.C.getuid()) end)
  end)
  return
end

describe("a weir that is started with a capability of its own", function()
  it("binds ports below 1024 with it, and takes it from its workers", function()
    local folder, port = make_folder(), low_port()
    write_main(folder, ('require "weir".listen "127.0.0.1:%d"'):format(port))
    local p = start_under(folder, { AS_NOBODY, WITH_CAPABILITY }, "--admin", "127.0.0.1:0")
    p:line '"event":"reload","result":"live"'
    local f = facts(p.pid)
    assert.same({ all_four(NOBODY), BIND, NONE, NONE }, { f.Uid, f.CapEff, f.CapInh, f.CapAmb })
    assert_confined(wait.for_("a worker", function() return trial_of({ process = p }, {}) end))
    assert.equal(404, raw.once(port, gateway.head("GET", "/", { Connection = "close" })).status)
    p:finish()
    p:kill()
    os.execute("rm -r " .. folder)
  end)
end)

describe("a weir that root starts with --user", function()
  local g, folder

  after_each(function()
    if g then g:kill() end
    if folder then folder:remove() end
    g, folder = nil, nil
  end)

  it("is that user in every process, and keeps one capability in the master alone", function()
    g = gateway.start { MAIN, user = "nobody" }
    local f = facts(g.process.pid)
    assert.same({ all_four(NOBODY), all_four(NOBODY), BIND, BIND, NONE, NONE },
      { f.Uid, f.Gid, f.CapPrm, f.CapEff, f.CapInh, f.CapAmb })
    for _, pid in ipairs(g:pids()) do
      local w = facts(pid)
      assert.same({ all_four(NOBODY), all_four(NOBODY) }, { w.Uid, w.Gid })
      assert_confined(pid)
    end
    local c = g:status().confinement
    assert.same({ 65534, "net_bind_service", 2 }, { c.uid, c.master_capabilities, c.workers })
    assert.is_true(g:metric "process_open_fds" > 40, "workers' descriptors are counted")
    g:stop()
  end)

  it("takes a group, and numbers", function()
    g = gateway.start { MAIN, user = "31999:31998" }
    for _, pid in ipairs { g.process.pid, g:pids()[1] } do
      local f = facts(pid)
      assert.same({ all_four "31999", all_four "31998" }, { f.Uid, f.Gid })
      assert.matches("\nGroups:%s*\n", slurp("/proc/" .. pid .. "/status"))
    end
    g:stop()
    g = gateway.start { MAIN, user = "nobody:daemon" }
    assert.equal(all_four "1", facts(g:pids()[1]).Gid)
    g:stop()
  end)

  it("binds ports below 1024 at the start and in later reloads", function()
    local first = low_port()
    g = gateway.start { MAIN:gsub("$%(port%)", first), user = "nobody" }
    assert.equal("ok", raw.once(first, gateway.head("GET", "/x", { Connection = "close" })).body)
    local second = low_port()
    assert.are_not.equal(first, second)
    local verdict = g:reload { (MAIN:gsub("$%(port%)", second)) }
    assert.equal("live", verdict.result, verdict.message)
    assert.equal("ok", raw.once(second, gateway.head("GET", "/x", { Connection = "close" })).body)
    g:stop()
  end)

  it("reads certificates and watches files as that user, and drains", function()
    folder = certificates.new()
    local ca = folder:authority "root"
    local served = folder:make("served", { san = "DNS:a.example", by = ca })
    assert(os.execute(("chmod 755 %s && chmod 644 %s"):format(folder.path, served.key)) == 0)
    local m = members.start(2)
    local list = folder.path .. "/endpoints"
    local function write(text)
      local file = assert(io.open(list .. ".new", "w"))
      file:write(text)
      file:close()
      assert(os.rename(list .. ".new", list))
    end
    write(m:url "a" .. "\n")
    g = gateway.start { user = "nobody", cert = served.cert, key = served.key, list = list, [[
      local weir = require "weir"
      weir.listen("127.0.0.1:$(port)", { tls = {
        certificates = { { cert = "$(cert)", key = "$(key)" } } } })
      local up = weir.upstream("up", { file = "$(list)" })
      weir.route("GET /x", function(req) return up:forward(req) end)
      weir.route("GET /count", function() return tostring(#up:endpoints()) end)
    ]] }
    local function get(path)
      return tls.ask { ["do"] = "get", port = g.port, sni = "a.example", ca = ca.cert, path = path }
    end
    assert.equal("a", get("/x").body)
    write(m:url "a" .. "\n" .. m:url "b" .. "\n")
    wait.for_("the second endpoint", function() return get("/count").body == "2" end)
    local serial = get("/count").serial
    certificates.replace(served, folder:make("renewed", { san = "DNS:a.example", by = ca }))
    assert(os.execute("chmod 644 " .. served.key) == 0)
    assert.equal("live", g:reload().result)
    wait.for_("the new certificate", function() return get("/count").serial ~= serial end)
    g:stop()
    m:kill()
  end)
end)
