--- Ports for what specs start: nobody listens on them, and no other run of specs is given them.
---
---     local ports = require "spec.support.ports"
---     local port = ports.free()
---
--- Runs of specs at the same time, of other worktrees too, share out the ports below those that
--- outgoing connections take theirs from: in slices, each locked until the run's process ends.
local ffi = require "ffi"
local socket = require "socket"

ffi.cdef [[
  int open(const char *path, int flags, ...);
  long lseek(int fd, long offset, int from);
  int lockf(int fd, int command, long size);
]]

local ports = {}

-- scripts/run takes its own from 30000 to 31999.
local FIRST, SLICES, SLICE = 10000, 100, 200
local O_RDWR, O_CREAT, O_CLOEXEC, SEEK_SET, F_TLOCK = 2, 0x40, 0x80000, 0, 2

-- busted loads this module anew for each file; what is taken stays taken for the process.
local registry = debug.getregistry()
registry.weir_ports = registry.weir_ports or {
  slice = math.floor(socket.gettime() * 1000) % SLICES, next = 1, last = 0,
}
local taken = registry.weir_ports

-- Byte n of the file is locked by who has slice n.
local function lock(number)
  if not taken.locks then
    local fd = ffi.C.open("/tmp/weir-spec-ports", O_RDWR + O_CREAT + O_CLOEXEC,
      ffi.cast("int", 438))
    assert(fd >= 0, "cannot open /tmp/weir-spec-ports")
    taken.locks = fd
  end
  ffi.C.lseek(taken.locks, number, SEEK_SET)
  return ffi.C.lockf(taken.locks, F_TLOCK, 1) == 0
end

local function take_slice()
  for _ = 1, SLICES do
    taken.slice = (taken.slice + 1) % SLICES
    if lock(taken.slice) then
      taken.next = FIRST + taken.slice * SLICE
      taken.last = taken.next + SLICE - 1
      return
    end
  end
  error "all slices of ports are taken"
end

local function is_free(port)
  local probe = socket.tcp4()
  local ok = probe:bind("127.0.0.1", port)
  probe:close()
  return ok
end

--- A port of 127.0.0.1 that nobody listens on.
function ports.free()
  for _ = 1, SLICES * SLICE do
    if taken.next > taken.last then take_slice() end
    local port = taken.next
    taken.next = port + 1
    if is_free(port) then return port end
  end
  error "no free port"
end

return ports
