#include "script/table.h"

#include <lauxlib.h>

// Pushes the raw field; false, with nothing pushed, when it is absent.
static bool push_field(lua_State *L, int index, const char *key)
{
  if (index < 0) index = lua_gettop(L) + 1 + index;
  luaL_checktype(L, index, LUA_TTABLE);
  lua_pushstring(L, key);
  lua_rawget(L, index);
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

double wr_table_num(lua_State *L, int index, const char *key, double otherwise)
{
  if (!push_field(L, index, key)) return otherwise;
  double value = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : otherwise;
  lua_pop(L, 1);
  return value;
}

uint64_t wr_table_u64(lua_State *L, int index, const char *key, uint64_t otherwise)
{
  double value = wr_table_num(L, index, key, -1);
  return value < 0 || value > 1.8e19 ? otherwise : (uint64_t)value;
}

uint32_t wr_table_u32(lua_State *L, int index, const char *key, uint32_t otherwise)
{
  double value = wr_table_num(L, index, key, -1);
  if (value < 0) return otherwise;
  return value > (double)UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

bool wr_table_bool(lua_State *L, int index, const char *key, bool otherwise)
{
  if (!push_field(L, index, key)) return otherwise;
  bool value = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

const char *wr_table_text(lua_State *L, int index, const char *key, const char *otherwise)
{
  if (!push_field(L, index, key)) return otherwise;
  const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : otherwise;
  lua_pop(L, 1);
  return value;
}
