#include "script/bind_error.h"

#include "script/bind.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

static const char TYPE[] = "weir.Error";
static const char *const sent_names[] = {"nothing", "head", "body"};

// "timeout: the deadline passed during sleep"
static int l_error_tostring(lua_State *L)
{
  lua_getfield(L, 1, "kind");
  lua_getfield(L, 1, "message");
  lua_pushfstring(L, "%s: %s", luaL_optstring(L, -2, "error"), luaL_optstring(L, -1, "?"));
  return 1;
}

void wr_bind_error_push(lua_State *L, const struct wr_error *error)
{
  lua_createtable(L, 0, 6);
  lua_pushstring(L, wr_error_name(error->kind));
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, error->message);
  lua_setfield(L, -2, "message");
  lua_pushstring(L, sent_names[error->sent]);
  lua_setfield(L, -2, "sent");
  lua_pushboolean(L, error->retryable);
  lua_setfield(L, -2, "retryable");
  if (error->after_ns > 0) {
    lua_pushnumber(L, (double)error->after_ns / 1e9);
    lua_setfield(L, -2, "after");
  }
  if (error->primitive[0]) {
    lua_pushstring(L, error->policy);
    lua_setfield(L, -2, "policy");
    lua_pushstring(L, error->primitive);
    lua_setfield(L, -2, "primitive");
  }
  luaL_getmetatable(L, TYPE);
  lua_setmetatable(L, -2);
}

int wr_bind_error_fail(lua_State *L, const struct wr_error *error)
{
  lua_pushnil(L);
  wr_bind_error_push(L, error);
  return 2;
}

static enum wr_sent sent_from(const char *name)
{
  for (int i = 0; name && i < 3; i++) {
    if (strcmp(name, sent_names[i]) == 0) return (enum wr_sent)i;
  }
  return WR_SENT_NOTHING;
}

// Raw: a table made by a policy may have a metatable that raises, and nobody here could catch it.
static void push_raw(lua_State *L, int index, const char *key)
{
  lua_pushstring(L, key);
  lua_rawget(L, index);
}

static void read_text(lua_State *L, int index, const char *key, char *out, size_t size)
{
  push_raw(L, index, key);
  snprintf(out, size, "%s", lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
  lua_pop(L, 1);
}

// A policy may build an error by hand: every field may be missing or of a wrong type.
static void read_table(lua_State *L, int index, struct wr_error *error)
{
  push_raw(L, index, "kind");
  const char *kind = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  push_raw(L, index, "message");
  const char *message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  enum wr_error_kind found = kind ? wr_error_find(kind) : WR_ERROR_NONE;
  wr_error_set(error, found ? found : WR_ERROR_SCRIPT, "%s", message ? message : kind ? kind : "?");
  push_raw(L, index, "sent");
  error->sent = sent_from(lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL);
  push_raw(L, index, "retryable");
  error->retryable = lua_toboolean(L, -1);
  push_raw(L, index, "after");
  double after = lua_tonumber(L, -1);
  if (after > 0 && after < 1e6) error->after_ns = (uint64_t)(after * 1e9);
  lua_pop(L, 5);
  read_text(L, index, "policy", error->policy, sizeof(error->policy));
  read_text(L, index, "primitive", error->primitive, sizeof(error->primitive));
}

bool wr_bind_error_read(lua_State *L, int index, struct wr_error *error)
{
  if (index < 0) index = lua_gettop(L) + 1 + index;
  switch (lua_type(L, index)) {
  case LUA_TNIL:
  case LUA_TNONE: *error = (struct wr_error){0}; return false;
  case LUA_TTABLE: read_table(L, index, error); return true;
  case LUA_TSTRING: wr_error_set(error, WR_ERROR_SCRIPT, "%s", lua_tostring(L, index)); return true;
  default:
    wr_error_set(error, WR_ERROR_SCRIPT, "an error value of type %s", luaL_typename(L, index));
    return true;
  }
}

// core.error(kind, message) -> error value | nil when there is no such kind
static int l_error(lua_State *L)
{
  struct wr_error error;
  enum wr_error_kind kind = wr_error_find(luaL_checkstring(L, 1));
  if (kind == WR_ERROR_NONE) return 0;
  wr_error_set(&error, kind, "%s", luaL_checkstring(L, 2));
  wr_bind_error_push(L, &error);
  return 1;
}

static const luaL_Reg functions[] = {{"error", l_error}, {NULL, NULL}};

int wr_bind_error(lua_State *L)
{
  luaL_register(L, NULL, functions);
  luaL_newmetatable(L, TYPE);
  lua_pushcfunction(L, l_error_tostring);
  lua_setfield(L, -2, "__tostring");
  return 0;
}
