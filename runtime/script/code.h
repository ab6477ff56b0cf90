#pragma once
/// Scripts as LuaJIT compiles them: parsing is most of what it costs to load one, and what one
/// process has parsed its relatives need not. Line numbers and names of variables are kept, so
/// that errors and tracebacks are the same.
///
/// LuaJIT believes what it is given here: code comes from a compiler of this program alone, never
/// from a file.

#include "base/buf.h"
#include "base/str.h"

struct lua_State;

/// A script to be loaded.
struct wr_code {
  struct wr_str path;     ///< what errors call it
  struct wr_str text;     ///< its source
  struct wr_str compiled; ///< what that was compiled to; empty: it is compiled now
};

/// Pushes the function, as luaL_loadbuffer does: 0, or not 0 with a message pushed instead. May
/// raise for want of memory.
int wr_code_load(struct lua_State *L, const struct wr_code *c);

/// Appends what `c` compiles to. False when it does not compile, or `out` is full: `out` has
/// rubbish then. In a state of its own.
bool wr_code_compile(const struct wr_code *c, struct wr_buf *out);
