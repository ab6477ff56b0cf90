--- What a confined process may do and what not, tried from inside one: spec/native/confined.c calls
--- the function that confines workers and trials, and then makes each attempt.
local ffi = require "ffi"
local process = require "spec.support.process"

ffi.cdef "unsigned getuid(void);"

-- attempt -> what becomes of it in a worker, and in a trial where that differs. "EPERM" is an
-- answer, "SYS" the end of the process, "ENOSYS" what has libraries do it in an older way.
local EXPECTED = {
  -- programs, processes, threads, and other processes
  fork = { "EPERM" }, execve = { "EPERM" }, execveat = { "EPERM" }, thread = { "EPERM" },
  signal_to_parent = { "EPERM" }, thread_signal_to_parent = { "EPERM" },
  limits_of_parent = { "EPERM" }, affinity = { "EPERM" },
  -- files: nothing is written, made, renamed or removed
  open_write = { "EPERM" }, open_both = { "EPERM" }, open_create = { "EPERM" },
  open_truncate = { "EPERM" }, open_unnamed = { "EPERM" }, open_old = { "EPERM" },
  creat = { "EPERM" }, openat2 = { "ENOSYS" }, io_uring = { "ENOSYS" }, truncate = { "EPERM" },
  mkdir = { "EPERM" }, unlink = { "EPERM" }, rename = { "EPERM" }, link = { "EPERM" },
  symlink = { "EPERM" }, mknod = { "EPERM" }, chmod = { "EPERM" }, fchmod = { "EPERM" },
  chown = { "EPERM" }, utime = { "EPERM" }, chdir = { "EPERM" }, umask = { "EPERM" },
  resize_inherited = { "EPERM", trial = "ok" },
  -- the network: a trial has none, and no worker listens by itself
  socket = { "ok", trial = "EPERM" }, socket_v6 = { "ok", trial = "EPERM" },
  socket_unix = { "ok", trial = "EPERM" }, connect = { "ECONNREFUSED", trial = "EPERM" },
  accept = { "EINVAL", trial = "EPERM" }, bind = { "EPERM" }, listen = { "EPERM" },
  socket_netlink = { "EPERM" }, socket_packet = { "EPERM" },
  -- memory: none that was written is run
  map_code = { "EPERM" }, protect_code = { "EPERM" }, protect_code_by_key = { "EPERM" },
  memfd = { "EPERM", trial = "ok" }, share_memory = { "EPERM" },
  -- privileges and limits
  become_root = { "EPERM" }, group = { "EPERM" }, groups = { "EPERM" }, capset = { "EPERM" },
  dumpable = { "EPERM" }, keep_capabilities = { "EPERM" }, personality = { "EPERM" },
  raise_limit = { "EPERM" }, priority = { "EPERM" }, terminal_input = { "EPERM" },
  -- what nobody asks for but who has taken the process over
  ptrace = { "SYS" }, read_of_parent = { "SYS" }, write_of_parent = { "SYS" }, bpf = { "SYS" },
  perf = { "SYS" }, userfaultfd = { "SYS" }, load_module = { "SYS" }, delete_module = { "SYS" },
  kexec = { "SYS" }, keyring = { "SYS" }, mount = { "SYS" }, umount = { "SYS" },
  pivot_root = { "SYS" }, chroot = { "SYS" }, unshare = { "SYS" }, setns = { "SYS" },
  swapon = { "SYS" }, reboot = { "SYS" }, acct = { "SYS" }, set_clock = { "SYS" },
  hostname = { "SYS" }, handle = { "SYS" }, foreign_numbers = { "SYS" },
  -- what has to go on
  open_read = { "ok" }, list = { "ok" }, watch = { "ok" }, write_inherited = { "ok" },
  options = { "ok" }, pair = { "ok" }, map = { "ok" }, timer = { "ok" }, epoll = { "ok" },
  read_limit = { "ok" }, abort = { "ABRT" }, newer = { "ENOSYS" },
}

-- Who is not root is refused these anyway, by the same word.
local OF_ROOT = { become_root = true, group = true, groups = true, socket_packet = true }

local function try_all(role)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  local p = process.spawn { process.program "confined", role, folder }
  assert.equal(0, p:wait(60))
  local outcomes, text, err = {}, p:stdout(), p:stderr()
  p:kill()
  os.execute("rm -r " .. folder)
  assert.equal("", err)
  for name, outcome in text:gmatch "(%S+) (%S+)\n" do outcomes[name] = outcome end
  return outcomes
end

local function expected_of(role)
  local list = {}
  for name, outcome in pairs(EXPECTED) do list[name] = outcome[role] or outcome[1] end
  return list
end

describe("a confined process", function()
  for _, role in ipairs { "worker", "trial" } do
    it("that is a " .. role .. " does what it must and nothing else", function()
      assert.same(expected_of(role), try_all(role))
    end)
  end

  it("is what refuses: without confinement the same attempts go differently", function()
    local free = try_all "free"
    local is_root = ffi.C.getuid() == 0
    for name, outcome in pairs(EXPECTED) do
      local refused = outcome[1]
      local is_told_apart = refused == "EPERM" or refused == "SYS"
      if is_told_apart and (is_root or not OF_ROOT[name]) then
        assert.are_not.equal(refused, free[name], name)
      end
    end
  end)
end)
