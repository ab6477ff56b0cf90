#pragma once
/// Header lists as Lua sees them: case-insensitive, order and duplicates kept, 1-based.

#include "http/headers.h"

#include <lua.h>

/// Where a handle finds its list each time it is used; NULL when the owner is over.
typedef struct wr_headers *(*wr_bind_headers_fn)(void *owner);

/// Pushes a handle on the list that `find(owner)` gives. The value at `anchor` is kept alive with
/// it.
void wr_bind_headers_push(lua_State *L, wr_bind_headers_fn find, void *owner, int anchor);

/// Adds the fields of the Lua table at `index` ({Name = "value"} or {Name = {"a", "b"}}) to `h`;
/// raises on names or values that no field may have, and on fields that weir alone writes.
void wr_bind_headers_read(lua_State *L, int index, struct wr_headers *h);
