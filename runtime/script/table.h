#pragma once
/// Reads option tables that the library has validated already: names are right, numbers are in
/// range.
///
/// A missing field gives the default. Nothing here raises, except for a table that is none.

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/// A number.
double wr_table_num(lua_State *L, int index, const char *key, double otherwise);

/// A whole number; negative ones give the default.
uint64_t wr_table_u64(lua_State *L, int index, const char *key, uint64_t otherwise);

/// The same, cut at its maximum.
uint32_t wr_table_u32(lua_State *L, int index, const char *key, uint32_t otherwise);

/// Anything but nil and false is true.
bool wr_table_bool(lua_State *L, int index, const char *key, bool otherwise);

/// The text stays valid while the table does.
const char *wr_table_text(lua_State *L, int index, const char *key, const char *otherwise);
