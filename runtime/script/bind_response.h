#pragma once
/// Responses as Lua sees them.

#include "script/response.h"

/// Pushes a handle on `r`, with a reference of its own.
void wr_bind_response_push(lua_State *L, struct wr_response *r);

/// The response behind the handle at `index`, borrowed. NULL when it is over, or the value is
/// something else.
struct wr_response *wr_bind_response_get(lua_State *L, int index);

/// The same, of what a handler returned. Unless somebody else may want it, its handle is cut off
/// now.
struct wr_response *wr_bind_response_take(lua_State *L, int index);

/// Is the value at `index` a response, over or not?
bool wr_bind_response_is(lua_State *L, int index);
