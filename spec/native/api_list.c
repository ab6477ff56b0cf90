// What scripts see, listed from a live state: api_list FILE loads FILE as `weir check` would, runs
// spec/support/api.lua in the library's world with the index tables of the handles, and prints the
// JSON it returns.

#include "base/check.h"
#include "policy/generation.h"
#include "process.h"

#include <lauxlib.h>
#include <stdio.h>

static const char *const handles[] = {"weir.Request", "weir.Response", "weir.Headers",
                                      "weir.Upstream"};

// __index is the table itself, or a function with the table as its first upvalue.
static void push_index(lua_State *L, const char *type)
{
  luaL_getmetatable(L, type);
  WR_CHECK(lua_istable(L, -1));
  lua_getfield(L, -1, "__index");
  if (lua_isfunction(L, -1)) WR_CHECK(lua_getupvalue(L, -1, 1) != NULL);
  WR_CHECK(lua_istable(L, -1));
}

// place(fn) -> "weir/routes.lua", 28 for a Lua function; nil for one of C
static int l_place(lua_State *L)
{
  lua_Debug at;
  lua_pushvalue(L, 1);
  lua_getinfo(L, ">S", &at);
  if (at.source[0] != '@') return 0;
  lua_pushstring(L, at.source + 1);
  lua_pushinteger(L, at.linedefined);
  return 2;
}

static void list(void *ctx, const struct wr_generation *g)
{
  (void)ctx;
  lua_State *L = g->script->vm.L;
  WR_CHECK(luaL_loadfilex(L, "spec/support/api.lua", "t") == 0);
  wr_vm_core(L);
  lua_pushcfunction(L, l_place);
  lua_newtable(L);
  int found = lua_gettop(L);
  for (size_t i = 0; i < WR_COUNT(handles); i++) {
    push_index(L, handles[i]);
    lua_setfield(L, found, handles[i]);
    lua_settop(L, found);
  }
  struct wr_script_error error = {0};
  if (wr_vm_call(L, 3, 1, &error)) {
    printf("%s\n", lua_tostring(L, -1));
    lua_pop(L, 1);
  } else {
    fprintf(stderr, "api_list: %s:%d: %s\n", error.file, error.line, error.message);
  }
}

int main(int argc, char **argv)
{
  struct wr_settings settings;
  struct wr_candidate_report report;
  if (argc != 2) return 2;
  wr_process_defaults(&settings);
  settings.log_level = WR_LOG_ERROR;
  settings.file = argv[1];
  wr_process_check(&settings, &report, &(struct wr_candidate_inspector){list, NULL});
  if (!report.ok) fprintf(stderr, "api_list: %s\n", report.error.message);
  return report.ok ? 0 : 1;
}
