-- luacheck: the settings of every Lua file; spec/lint/luacheck_spec.lua runs it.
std = "luajit"
max_line_length = false -- spec/lint/format_spec.lua has the limit, in characters
codes = true

-- Busted's words, and tables that specs fill for the code under test.
files["spec"] = { std = "luajit+busted" }
files["policies/**/*_spec.lua"] = { std = "luajit+busted" }

-- The sandbox takes fields away from the standard tables: that is its work.
files["lua/weir/core/sandbox.lua"] = { ignore = { "122" } }

-- A policy sees what the sandbox lists (DESIGN.md §6): no io, os.execute, ffi, debug, load.
local sandbox = {
  "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget",
  "rawset", "require", "select", "setmetatable", "tonumber", "tostring", "type", "unpack", "xpcall",
  "bit", "math", "string", "table", "_VERSION",
}
stds.weir_policy = { read_globals = sandbox }
files["policies"] = { std = "weir_policy" }

-- What these do is wrong on purpose; some do not even parse.
exclude_files = { "spec/script/hostile", "spec/script/broken" }
