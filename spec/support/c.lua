--- weir's C code for unit specs: the library under test, declared from weir's own headers.
---
---     local c, ffi = require("spec.support.c")("resilience/breaker.h", "base/rng.h")
---     local b = ffi.new("struct wr_breaker")
---     c.wr_breaker_init(b, …)
---
--- Headers are run through the C preprocessor without the system's headers, inline functions are
--- cut out, and the rest is what LuaJIT's FFI parses: there is no second list of prototypes.
local ffi = require "ffi"

-- busted loads this module anew for each file, while the FFI's declarations stay for the process.
local registry = debug.getregistry()
registry.weir_declared = registry.weir_declared or {}
local declared = registry.weir_declared
local preset = os.getenv("WEIR_PRESET") or "dev"
local library = ffi.load("build/" .. preset .. "/libweir_test.so")

local function preprocess(header)
  local command = "gcc -E -P -nostdinc -Ispec/support/stubs -Iruntime "
    .. "'-D__attribute__(x)=' -D_Atomic= -include runtime/" .. header .. " -x c /dev/null"
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  assert(pipe:close(), "cannot preprocess " .. header)
  return text
end

-- A header includes others that may be declared already: declare statement by statement, once each.
local function declare(text)
  text = text:gsub("static inline[^{;]-%b()%s*%b{}", "")
  text = text:gsub("typedef%s+__builtin_va_list[^;]*;", "")
  local at = 1
  while true do
    local depth, from = 0, at
    local stop
    for i = at, #text do
      local ch = text:byte(i)
      if ch == 123 then depth = depth + 1
      elseif ch == 125 then depth = depth - 1
      elseif ch == 59 and depth == 0 then stop = i break end
    end
    if not stop then break end
    local statement = text:sub(from, stop):gsub("%s+", " "):gsub("^ ", "")
    at = stop + 1
    if not declared[statement] then
      declared[statement] = true
      ffi.cdef(statement)
    end
  end
end

return function(...)
  for _, header in ipairs { ... } do
    if not declared[header] then
      declared[header] = true
      declare(preprocess(header))
    end
  end
  return library, ffi
end
