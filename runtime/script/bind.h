#pragma once
/// What C offers the library through `weir.core`: one bind file for each concept.
///
/// A bind function is a `lua_CFunction` called through `wr_vm_bind` with the core table as argument
/// 1; it adds its fields there and returns 0. Each bind file is written in the order: type check,
/// constructor, completion callback, methods, registration list at the end. C name from Lua name:
/// `core.json_encode` is `l_json_encode`.

#include <lua.h>

/// JSON text from Lua values and back: bind_json.c. Bound by `wr_vm_open`.
int wr_bind_json(lua_State *L);

/// Lua patterns with a step limit: bind_pattern.c. Bound by `wr_vm_open`.
int wr_bind_pattern(lua_State *L);

/// What lua/weir/core builds the policy world from: bind_sandbox.c. Bound by `wr_vm_open`.
int wr_bind_sandbox(lua_State *L);
