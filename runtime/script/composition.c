#include "script/composition.h"

#include "script/bind.h"

#include <lauxlib.h>

// core.upvalues(fn) -> { n = count, values }, source ("@file.lua"; "=[C]" for a function of C)
static int l_upvalues(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_newtable(L);
  int n = 0;
  while (lua_getupvalue(L, 1, n + 1) != NULL) lua_rawseti(L, 2, ++n);
  lua_pushinteger(L, n);
  lua_setfield(L, 2, "n");
  lua_Debug at;
  lua_pushvalue(L, 1);
  lua_getinfo(L, ">S", &at);
  lua_pushstring(L, at.source);
  return 2;
}

// Runs protected. Stack: form, folder; leaves text and count.
static int run_report(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushliteral(L, "weir.core.report");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "report");
  lua_insert(L, 1);
  lua_settop(L, 3);
  lua_call(L, 2, 2);
  return 2;
}

int wr_composition_report(struct wr_script *s, const char *form, struct wr_str folder,
                          struct wr_buf *out, struct wr_script_error *error)
{
  lua_State *L = s->vm.L;
  lua_pushcfunction(L, run_report);
  lua_pushstring(L, form);
  lua_pushlstring(L, folder.ptr, folder.len);
  if (!wr_vm_call(L, 2, 2, error)) return -1;
  struct wr_str text;
  text.ptr = lua_tolstring(L, -2, &text.len);
  bool fits = wr_buf_append_str(out, text);
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 2);
  if (fits) return count;
  wr_call_error_set(error, "", 0, "the report on this bundle is too long");
  return -1;
}

static const luaL_Reg functions[] = {
    {"upvalues", l_upvalues},
    {NULL, NULL},
};

int wr_bind_composition(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
