#pragma once
/// Upstreams as Lua values.

#include "script/script.h"
#include "upstream/upstream.h"

/// The upstream at `index`; raises when there is none.
struct wr_upstream *wr_bind_upstream_check(lua_State *L, int index);

/// Pushes a handle, which takes over the caller's reference.
void wr_bind_upstream_push(lua_State *L, struct wr_upstream *u);
