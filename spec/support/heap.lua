--- What a gateway's worker takes from the heap, counted by spec/native/preload/malloc_count.c.
---
---     local h = heap.new()
---     local g = gateway.start { env = h.env, workers = 1, … }
---     local before = h:calls(g:pids()[1])
---     …
---     h:calls(g:pids()[1]) - before
---     h:remove()
local ffi = require "ffi"
local process = require "spec.support.process"

local heap = {}
local Heap = {}
Heap.__index = Heap

--- Can it be counted in the build under test? A sanitizer has a heap of its own.
function heap.is_countable()
  return process.preset() == "dev" or process.preset() == "release"
end

--- Memory of a process in bytes, shared pages by their share.
function heap.pss(pid)
  local file = assert(io.open("/proc/" .. pid .. "/smaps_rollup"))
  local text = file:read "*a"
  file:close()
  return tonumber(text:match "\nPss:%s*(%d+)") * 1024
end

--- A folder in which processes started with `env` count.
function heap.new()
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder) == 0)
  local pipe = io.popen "pwd"
  local here = pipe:read "*l"
  pipe:close()
  return setmetatable({ folder = folder, env = {
    LD_PRELOAD = ("%s/build/%s/libmalloc_count.so"):format(here, process.preset()),
    WEIR_MALLOC_COUNT = folder,
  } }, Heap)
end

--- Calls of malloc, calloc and realloc by that process so far.
function Heap:calls(pid)
  local file = assert(io.open(self.folder .. "/" .. pid))
  local bytes = file:read(8)
  file:close()
  return tonumber(ffi.cast("const uint64_t *", bytes)[0])
end

function Heap:remove()
  os.execute("rm -r " .. self.folder)
end

return heap
