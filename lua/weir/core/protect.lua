--- `pcall` and `xpcall` for policies.
---
--- Library functions around LuaJIT's own, so that a call inside may suspend. An error that is
--- caught releases what the task opened inside (tickets, deadlines), and the nesting is bounded: a
--- recursion of pcalls at the end of the stack would otherwise catch for ever. `xpcall`'s handler
--- runs after unwinding, where the budget hook works.
local core = require "weir.core"

local M = {}

local NESTING_MAX = 100

local raw_pcall, error, running = pcall, error, coroutine.running
local scope_mark, scope_unwind = core.scope_mark, core.scope_unwind

-- Nesting of each coroutine; `main` stands for the main thread, which has no coroutine. A zero
-- stays: coroutines come again, and a table that is emptied is made anew at each new key.
local main = {}
local depths = setmetatable({}, { __mode = "k" })

local function enter(name)
  local co = running() or main
  local depth = depths[co] or 0
  if depth >= NESTING_MAX then
    error(("%s is nested deeper than %d levels"):format(name, NESTING_MAX), 3)
  end
  depths[co] = depth + 1
  return co, depth
end

local function leave(co, depth, mark, ok, ...)
  depths[co] = depth
  if not ok then scope_unwind(mark) end
  return ok, ...
end

--- Lua's pcall.
---@async
function M.pcall(fn, ...)
  local co, depth = enter "pcall"
  return leave(co, depth, scope_mark(), raw_pcall(fn, ...))
end

local function caught(co, depth, mark, handler, ok, ...)
  if ok then return leave(co, depth, mark, true, ...) end
  scope_unwind(mark)
  local _, value = raw_pcall(handler, (...))
  depths[co] = depth
  return false, value
end

--- Lua's xpcall, but the handler runs after unwinding: it sees the error, not its stack.
---@async
function M.xpcall(fn, handler, ...)
  local co, depth = enter "xpcall"
  return caught(co, depth, scope_mark(), handler, raw_pcall(fn, ...))
end

return M
