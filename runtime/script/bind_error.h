#pragma once
/// The error value of Lua: a table `{kind, message, …}` whose metatable prints it.

#include "base/error.h"

#include <lua.h>

/// Pushes a new error table with kind, message, and sent, retryable, after where they say
/// something.
void wr_bind_error_push(lua_State *L, const struct wr_error *error);

/// Pushes `nil, err`; returns 2, for `return wr_bind_error_fail(…)` in a binding.
int wr_bind_error_fail(lua_State *L, const struct wr_error *error);

/// Reads the value at `index`, whatever it is: an error table by its fields, anything else as a
/// script's own failure with its text. False when it is nil.
bool wr_bind_error_read(lua_State *L, int index, struct wr_error *error);
