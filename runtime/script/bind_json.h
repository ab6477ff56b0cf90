#pragma once
/// What the two halves of the JSON binding share: bind_json.c (reading) and bind_json_encode.c.

#include <lua.h>
#include <stdbool.h>

/// The light userdata that stands for null.
void *wr_bind_json_null(void);

/// Does the table at `index` carry the mark of an array?
bool wr_bind_json_is_array(lua_State *L, int index);

/// Adds `json_encode` to the core table, argument 1.
int wr_bind_json_encode(lua_State *L);
