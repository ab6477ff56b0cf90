#include "script/composition.h"

#include <lauxlib.h>

// Runs protected. Stack: module, function, its two arguments; leaves text and a number or nil.
static int run(lua_State *L)
{
  lua_getglobal(L, "require");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_gettable(L, -2);
  lua_pushvalue(L, 3);
  lua_pushvalue(L, 4);
  lua_call(L, 2, 2);
  return 2;
}

struct call {
  const char *module;
  const char *function;
  struct wr_str a, b; // its arguments
};

// Appends the text that a function of the library returns. Its number too, or 0; -1: `error` says.
static int call(struct wr_script *s, const struct call *c, struct wr_buf *out,
                struct wr_script_error *error)
{
  lua_State *L = s->vm.L;
  lua_pushcfunction(L, run);
  lua_pushstring(L, c->module);
  lua_pushstring(L, c->function);
  lua_pushlstring(L, c->a.ptr, c->a.len);
  lua_pushlstring(L, c->b.ptr, c->b.len);
  if (!wr_vm_call(L, 4, 2, error)) return -1;
  struct wr_str text;
  text.ptr = lua_tolstring(L, -2, &text.len);
  bool fits = wr_buf_append_str(out, text);
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 2);
  if (fits) return count;
  wr_call_error_set(error, "", 0, "what is to be told of this bundle is too long");
  return -1;
}

int wr_composition_report(struct wr_script *s, const char *form, struct wr_str folder,
                          struct wr_buf *out, struct wr_script_error *error)
{
  struct call report = {"weir.core.report", "report", wr_str_of(form), folder};
  return call(s, &report, out, error);
}

bool wr_composition_facts(struct wr_script *s, struct wr_buf *out, struct wr_script_error *error)
{
  struct call facts = {"weir.core.facts", "facts", WR_STR(""), WR_STR("")};
  return call(s, &facts, out, error) >= 0;
}

bool wr_composition_shown(struct wr_script *s, struct wr_str files, struct wr_buf *out,
                          struct wr_script_error *error)
{
  struct call shown = {"weir.core.facts", "shown", files, WR_STR("")};
  return call(s, &shown, out, error) >= 0;
}

bool wr_composition_changes(struct wr_script *s, struct wr_str before, struct wr_str files,
                            struct wr_buf *out, struct wr_script_error *error)
{
  struct call changes = {"weir.core.facts", "changes", before, files};
  return call(s, &changes, out, error) >= 0;
}
