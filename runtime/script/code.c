#include "script/code.h"

#include <lauxlib.h>

int wr_code_load(lua_State *L, const struct wr_code *c)
{
  bool is_compiled = c->compiled.len > 0;
  struct wr_str from = is_compiled ? c->compiled : c->text;
  lua_pushlstring(L, c->path.ptr, c->path.len);
  const char *name = lua_pushfstring(L, "@%s", lua_tostring(L, -1));
  int rc = luaL_loadbufferx(L, from.ptr, from.len, name, is_compiled ? "b" : "t");
  lua_replace(L, -3);
  lua_pop(L, 1);
  return rc;
}

static int append(lua_State *L, const void *piece, size_t size, void *out)
{
  (void)L;
  return wr_buf_append(out, piece, size) ? 0 : 1;
}

struct job {
  const struct wr_code *code;
  struct wr_buf *out;
};

// Runs protected.
static int compile(lua_State *L)
{
  const struct job *job = lua_touserdata(L, 1);
  if (wr_code_load(L, job->code) != 0 || lua_dump(L, append, job->out) != 0) return lua_error(L);
  return 0;
}

bool wr_code_compile(const struct wr_code *c, struct wr_buf *out)
{
  lua_State *L = luaL_newstate();
  if (L == NULL) return false;
  bool ok = lua_cpcall(L, compile, &(struct job){c, out}) == 0;
  lua_close(L);
  return ok;
}
