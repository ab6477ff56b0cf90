#include "script/composition.h"

#include <lauxlib.h>

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
