#pragma once
/// Requests as Lua sees them.

#include "script/request.h"

/// Pushes a handle on `q`, which is not cut off.
void wr_bind_request_push(lua_State *L, struct wr_request *q);

/// Cuts the handles off: whoever still has one is told that the request is over.
void wr_bind_request_cut(struct wr_request *q);

/// Its handler has returned: the handle at `index`, the one that it was given, is cut off now,
/// unless it goes on as a copy.
void wr_bind_request_end(lua_State *L, int index);

/// The live request behind the handle at `index`; raises when it is something else, or over.
struct wr_request *wr_bind_request_check(lua_State *L, int index);
