--- Child processes of specs: start, look at, signal, and end them with proof that they ended well.
---
---     local process = require "spec.support.process"
---     local p = process.spawn { process.program "server_echo", "--port", "0" }
---     local port = p:line "port (%d+)"
---     …
---     p:finish()      -- SIGTERM; exit code 0, no sanitizer report, or the spec fails
---
--- Output goes to files, so a child never blocks on a full pipe. A child inherits no descriptor of
--- ours, no preloaded sanitizer, and dies with us. `WEIR_PRESET` chooses the build (dev).
local ffi = require "ffi"
local wait = require "spec.support.wait"

ffi.cdef [[
  typedef struct { long opaque[32]; } spec_file_actions;
  extern char **environ;
  int posix_spawn(int *pid, const char *path, const spec_file_actions *actions,
                  const void *attributes, const char *const *argv, const char *const *envp);
  int posix_spawn_file_actions_init(spec_file_actions *actions);
  int posix_spawn_file_actions_destroy(spec_file_actions *actions);
  int posix_spawn_file_actions_addopen(spec_file_actions *actions, int fd, const char *path,
                                       int flags, unsigned mode);
  int posix_spawn_file_actions_addclosefrom_np(spec_file_actions *actions, int from);
  int waitpid(int pid, int *status, int options);
  int kill(int pid, int signal);
]]

local process = {}
local Process = {}
Process.__index = Process

local O_RDONLY, O_WRONLY_CREATE_TRUNCATE, WNOHANG = 0, 0x241, 1
local SIGNALS = {
  HUP = 1, INT = 2, KILL = 9, USR1 = 10, USR2 = 12, TERM = 15, CONT = 18, STOP = 19,
}

-- What a sanitized child runs with: leaks count, and a report is a failure of its own kind.
local SANITIZER_ENV = {
  LD_PRELOAD = false,
  ASAN_OPTIONS = "detect_leaks=1:exitcode=99:abort_on_error=0",
  UBSAN_OPTIONS = "print_stacktrace=1:halt_on_error=1:exitcode=99",
}

--- Path of a program of the build under test.
function process.program(name)
  return ("build/%s/%s"):format(process.preset(), name)
end

--- "dev", "asan", …: the build under test.
function process.preset()
  return os.getenv "WEIR_PRESET" or "dev"
end

local function strings(list)
  local array = ffi.new("const char *[?]", #list + 1)
  for i, text in ipairs(list) do array[i - 1] = text end
  array[#list] = nil
  return array
end

local function environment(changes)
  local list, i = {}, 0
  while ffi.C.environ[i] ~= nil do
    local entry = ffi.string(ffi.C.environ[i])
    local name = entry:match "^([^=]*)="
    if changes[name] == nil then list[#list + 1] = entry end
    i = i + 1
  end
  for name, value in pairs(changes) do
    if value then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

local function slurp(path)
  local file = io.open(path, "rb")
  if not file then return "" end
  local text = file:read "*a"
  file:close()
  return text
end

--- Starts `command` (a list: program, arguments…; `command.env` = { NAME = "value" or false to
--- unset }).
function process.spawn(command)
  local changes = {}
  for name, value in pairs(SANITIZER_ENV) do changes[name] = value end
  for name, value in pairs(command.env or {}) do changes[name] = value end
  local argv = { "/usr/bin/setpriv", "--pdeathsig", "KILL", "--" }
  for _, argument in ipairs(command) do argv[#argv + 1] = tostring(argument) end
  local envp = environment(changes)

  local self = setmetatable({ command = command, out = os.tmpname(), err = os.tmpname() }, Process)
  local actions = ffi.new "spec_file_actions"
  ffi.C.posix_spawn_file_actions_init(actions)
  ffi.C.posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0)
  ffi.C.posix_spawn_file_actions_addopen(actions, 1, self.out, O_WRONLY_CREATE_TRUNCATE, 384)
  ffi.C.posix_spawn_file_actions_addopen(actions, 2, self.err, O_WRONLY_CREATE_TRUNCATE, 384)
  ffi.C.posix_spawn_file_actions_addclosefrom_np(actions, 3)
  local pid = ffi.new "int[1]"
  local rc = ffi.C.posix_spawn(pid, argv[1], actions, nil, strings(argv), strings(envp))
  ffi.C.posix_spawn_file_actions_destroy(actions)
  assert(rc == 0, "cannot start " .. command[1])
  self.pid = pid[0]
  return self
end

--- What the child wrote so far.
function Process:stdout() return slurp(self.out) end
function Process:stderr() return slurp(self.err) end

--- Waits until its standard output matches `pattern`; returns the captures.
function Process:line(pattern, timeout)
  return wait.for_(("%s to print %q"):format(self.command[1], pattern), function()
    local a, b, c = self:stdout():match(pattern)
    if not a and self:is_over() then error("it ended first; stderr: " .. self:stderr(), 0) end
    return a, b, c
  end, timeout)
end

--- Sends a signal by name ("TERM") or number. The child must not have been waited for.
function Process:signal(signal)
  assert(not self.status, "the child is gone")
  ffi.C.kill(self.pid, SIGNALS[signal] or signal)
end

--- Has it ended? Then `code` (exit code) or `killed_by` (signal number) is set.
function Process:is_over()
  if self.status then return true end
  local status = ffi.new "int[1]"
  if ffi.C.waitpid(self.pid, status, WNOHANG) ~= self.pid then return false end
  self.status = status[0]
  local signal = self.status % 128
  if signal == 0 then
    self.code = math.floor(self.status / 256) % 256
  else
    self.killed_by = signal
  end
  return true
end

--- Waits for its end; returns exit code, or nil and the signal that killed it.
function Process:wait(timeout)
  wait.for_(self.command[1] .. " to end", function() return self:is_over() end, timeout or 20)
  return self.code, self.killed_by
end

local function report_of(self)
  return ("%s: exit code %s, signal %s\nstderr:\n%s"):format(self.command[1], tostring(self.code),
    tostring(self.killed_by), self:stderr())
end

--- Asks it to end (SIGTERM, unless it has ended) and fails unless it does so with code 0 and
--- without a word from a sanitizer or from WR_CHECK. Returns its standard output and error.
function Process:finish(timeout)
  if not self:is_over() then self:signal "TERM" end
  local in_time = pcall(self.wait, self, timeout)
  if not in_time then
    local stuck = report_of(self)
    self:kill()
    error("did not end after SIGTERM: " .. stuck, 2)
  end
  local out, err = self:stdout(), self:stderr()
  local report = report_of(self)
  self:kill()
  local dirty = err:find("Sanitizer", 1, true) or err:find("runtime error:", 1, true)
    or err:find("check failed", 1, true)
  if self.code ~= 0 or dirty then error(report, 2) end
  return out, err
end

--- Ends it at once, whatever state it is in, and removes its output. For after_each; may be
--- repeated.
function Process:kill()
  if not self:is_over() then
    self:signal "KILL"
    self:wait()
  end
  os.remove(self.out)
  os.remove(self.err)
end

local function status_bytes(self, field)
  local kilobytes = slurp("/proc/" .. self.pid .. "/status"):match(field .. ":%s*(%d+) kB")
  return tonumber(kilobytes) * 1024
end

--- Resident memory in bytes: now, and at its highest.
function Process:rss() return status_bytes(self, "VmRSS") end
function Process:rss_peak() return status_bytes(self, "VmHWM") end

--- Number of open descriptors.
function Process:descriptors()
  local pipe = io.popen("ls /proc/" .. self.pid .. "/fd | wc -l")
  local count = tonumber(pipe:read "*a")
  pipe:close()
  return count
end

return process
