--- Hostile policies against the language surface. Each row: reason, code, and what must come of it:
--- a pattern of the error, or the exact value that shows that nothing was reached. `call` code runs after
--- the freeze as a function. Run by spec/unit/runtime/script/sandbox_spec.lua.
return {
  -- Code that was not in the bundle.
  { "bytecode", code = "\27LJ\2\2\0\0", error = "attempt to load chunk with wrong mode" },
  { "load is absent", code = "return tostring(load)", value = "nil" },
  { "loadstring is absent", code = "return tostring(loadstring)", value = "nil" },
  { "loadfile and dofile are absent", code = "return tostring(loadfile) .. tostring(dofile)", value = "nilnil" },
  { "module and package are absent", code = "return tostring(module) .. tostring(package)", value = "nilnil" },
  { "string.dump is absent", code = "return tostring(string.dump)", value = "nil" },
  { "string.dump is absent from the string metatable", code = "return tostring((''). dump)", value = "nil" },

  -- Ways to the library's globals.
  { "_G is absent", code = "return tostring(_G)", value = "nil" },
  { "getfenv is absent", code = "return getfenv(0)", error = "attempt to call global 'getfenv'" },
  { "setfenv is absent", code = "setfenv(1, {})", error = "attempt to call global 'setfenv'" },
  { "the environment's metatable stays hidden", code = "return tostring(getmetatable(pairs))", value = "nil" },
  { "the string metatable stays hidden", code = "return tostring(getmetatable(''))", value = "nil" },
  { "the string metatable cannot be changed", code = "getmetatable('').__index = {}", error = "attempt to index" },
  { "string methods are the safe ones", code = "return tostring((''). dump) .. tostring(('').rep == string.rep)",
    value = "niltrue" },
  { "a facade's metatable stays hidden", code = "return tostring(getmetatable(string))", value = "nil" },
  { "a facade's metatable cannot be replaced", code = "setmetatable(string, {})", error = "protected metatable" },

  -- Below the language.
  { "debug is absent", code = "return tostring(debug)", value = "nil" },
  { "require refuses debug", code = "require 'debug'", error = "no module 'debug' in the bundle" },
  { "require refuses ffi", code = "require 'ffi'", error = "no module 'ffi' in the bundle" },
  { "require refuses jit", code = "require 'jit.opt'", error = "no module 'jit.opt' in the bundle" },
  { "jit and ffi are absent", code = "return tostring(jit) .. tostring(ffi)", value = "nilnil" },
  { "cdata literals are numbers' business only", code = "return type(1LL)", any = true },
  { "a cdata literal gives no way to the ffi library", code = "return getmetatable(1LL).__index", error = "." },
  { "newproxy is absent", code = "return tostring(newproxy)", value = "nil" },
  { "collectgarbage and gcinfo are absent", code = "return tostring(collectgarbage) .. tostring(gcinfo)",
    value = "nilnil" },
  { "__gc through setmetatable", code = "setmetatable({}, { __gc = function() end })", error = "__gc is not available" },
  { "io is absent", code = "return io.open('/etc/passwd')", error = "attempt to index global 'io'" },
  { "os is absent", code = "os.execute('true')", error = "attempt to index global 'os'" },
  { "coroutine is absent", code = "local function r() coroutine.wrap(r)() end r()",
    error = "attempt to index global 'coroutine'" },
  { "math.randomseed is absent", code = "math.randomseed(1)", error = "attempt to call field 'randomseed'" },

  -- Addresses.
  { "tostring of a table", code = "return tostring({})", value = "table" },
  { "tostring of a function", code = "return tostring(print) .. tostring(pairs)", value = "functionfunction" },
  { "%s of a table", code = "return ('%s'):format({})", value = "table" },
  { "%p", code = "return ('%p'):format({})", error = "'%%p' is not available" },
  { "%p behind flags", code = "return string.format('%% %-20.3p', {})", error = "'%%p' is not available" },
  { "an error object's address", code = "error({})", error = "raised a table without a message" },
  { "print", code = "print({}, print)", printed = "table\tfunction\n" },
  { "concatenation has no address", code = "return 'x' .. {}", error = "attempt to concatenate" },
  { "a table in an error message", code = "error('x' .. tostring(error))", error = "^xfunction$" },

  -- Modules.
  { "require with a parent path", code = "require '../x'", error = "is not a module name" },
  { "require with an absolute path", code = "require '/etc/passwd'", error = "is not a module name" },
  { "require with a NUL", code = "require 'a\\0b'", error = "is not a module name" },
  { "require with two dots", code = "require 'a..b'", error = "is not a module name" },
  { "require of nothing", code = "require ''", error = "is not a module name" },
  { "require of a table", code = "require {}", error = "a module name is a string, not a table" },
  { "require of a long name", code = "require(('a'):rep(1e6))", error = "is not a module name" },
  { "require of the core", code = "require 'weir.core'", error = "private to the library" },
  { "require of a module below the core", code = "require 'weir.core.sandbox'", error = "private to the library" },
  { "require of an unknown library module", code = "require 'weir.nothing'", error = "no library module 'weir.nothing'" },
  { "library modules are read-only", code = "require 'weir.schema'.new = nil", error = "library tables cannot be modified" },
  { "rawset on a library module", code = "rawset(require 'weir.schema', 'new', 1)",
    error = "library tables cannot be modified" },
  { "rawget on a library module", code = "return tostring(rawget(require 'weir.schema', 'new'))", value = "nil" },
  { "next on a library module", code = "return tostring(next(require 'weir.schema'))", value = "nil" },
  { "table.insert into a library module", code = "table.insert(require 'weir.schema', 'x')", any = true },
  { "a library class through an object", any = true, code = [[
      local s = require 'weir.schema'.new('x', {})
      assert(getmetatable(s) == nil)
      setmetatable(s, { __index = {} })]], error = "library object" },

  -- Library tables.
  { "writing to string", code = "string.find = nil", error = "library tables cannot be modified %(key 'find'%)" },
  { "rawset on string", code = "rawset(string, 'find', 1)", error = "library tables cannot be modified" },
  { "writing to table, math and bit", code = [[
      local n = 0
      for _, t in ipairs { table, math, bit } do if not pcall(function() t.x = 1 end) then n = n + 1 end end
      return n]], value = 3 },
  { "a hostile key in the message", code = "string[setmetatable({}, { __tostring = function() return {} end })] = 1",
    error = "'__tostring' must return a string" },
  { "replacing a built-in", code = "pairs = nil", error = "cannot replace the built%-in 'pairs'" },
  { "replacing require", code = "function require() end", error = "cannot replace the built%-in 'require'" },
  { "a new global after load", call = "x = 1", error = "cannot set global 'x' after load" },
  { "changing a declared global after load", declare = "x = 1", call = "x = 2",
    error = "cannot set global 'x' after load" },
  { "reading a declared global after load", declare = "x = 7", call = "return x", value = 7 },
  { "a global function after load", call = "function f() end", error = "cannot set global 'f' after load" },
  { "a global from a nested function after load", call = "pcall(function() y = 1 end) return tostring(y)", value = "nil" },
}
