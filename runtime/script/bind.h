#pragma once
/// What C offers the library through `weir.core`: one bind file for each concept.
///
/// A bind function is a `lua_CFunction` called through `wr_vm_bind` with the core table as argument
/// 1; it adds its fields there and returns 0. Each bind file is written in the order: type check,
/// constructor, completion callback, methods, registration list at the end. C name from Lua name:
/// `core.json_encode` is `l_json_encode`.

#include "base/str.h"

#include <lauxlib.h>

/// The string argument at `index`, borrowed while it is on the stack; raises when it is none.
static inline struct wr_str wr_bind_str(lua_State *L, int index)
{
  struct wr_str s;
  s.ptr = luaL_checklstring(L, index, &s.len);
  return s;
}

/// A type of handle in Lua. A handle begins with the address of its type's name, which says what it
/// is without a look at its metatable. Scripts cannot make userdata; what the library has of others
/// is larger than a pointer, and none begins with such an address.
struct wr_bind_handle {
  const char *type;
};

/// Pushes the new metatable of a type, which the caller fills.
static inline void wr_bind_type_new(lua_State *L, const char *type)
{
  luaL_newmetatable(L, type);
  lua_pushlightuserdata(L, (void *)type);
  lua_pushvalue(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/// Registers the metatable on top, filled by now, once more without its finaliser: for handles of
/// `type` that are over.
static inline void wr_bind_type_plain(lua_State *L, const char *type)
{
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, -3)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushnil(L);
  lua_setfield(L, -2, "__gc");
  lua_pushlightuserdata(L, (void *)(type + 1));
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/// Nothing is left to finalise of the handle of `type` at `index`: the collector need not look
/// after it, and frees it one cycle earlier.
static inline void wr_bind_type_over(lua_State *L, int index, const char *type)
{
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, (void *)(type + 1));
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/// Pushes a new userdata of `type`, zeroed but for its head: a struct of `size` bytes that begins
/// with a struct wr_bind_handle.
static inline void *wr_bind_type_push(lua_State *L, const char *type, size_t size)
{
  struct wr_bind_handle *handle = lua_newuserdata(L, size);
  memset(handle, 0, size);
  handle->type = type;
  lua_pushlightuserdata(L, (void *)type);
  lua_rawget(L, LUA_REGISTRYINDEX);
  lua_setmetatable(L, -2);
  return handle;
}

/// The userdata at `index` when it is of `type`, else NULL.
static inline void *wr_bind_type_get(lua_State *L, int index, const char *type)
{
  if (lua_type(L, index) != LUA_TUSERDATA) return NULL;
  struct wr_bind_handle *handle = lua_touserdata(L, index);
  return handle->type == type ? handle : NULL;
}

/// The same; raises when it is something else.
static inline void *wr_bind_type_check(lua_State *L, int index, const char *type)
{
  void *handle = wr_bind_type_get(L, index, type);
  return handle ? handle : luaL_checkudata(L, index, type);
}

/// Pushes `nil, message`, for the library to blame the policy's line with. Returns 2.
static inline int wr_bind_refuse(lua_State *L, const char *message)
{
  lua_pushnil(L);
  lua_pushstring(L, message);
  return 2;
}

/// JSON text from Lua values and back: bind_json.c. Bound by `wr_vm_open`.
int wr_bind_json(lua_State *L);

/// Lua patterns with a step limit: bind_pattern.c. Bound by `wr_vm_open`.
int wr_bind_pattern(lua_State *L);

/// What lua/weir/core builds the policy world from: bind_sandbox.c. Bound by `wr_vm_open`.
int wr_bind_sandbox(lua_State *L);

/// Error values: bind_error.c. Before all others.
int wr_bind_error(lua_State *L);

/// Header lists of requests and responses: bind_headers.c.
int wr_bind_headers(lua_State *L);

/// Responses, made here or arriving: bind_response.c.
int wr_bind_response(lua_State *L);

/// The request being served: bind_request.c.
int wr_bind_request(lua_State *L);

/// Upstreams and plain HTTP calls: bind_upstream.c.
int wr_bind_upstream(lua_State *L);

/// Declaring upstreams and their endpoints: bind_endpoints.c. After bind_upstream.c.
int wr_bind_endpoints(lua_State *L);

/// Name servers and files, for who finds endpoints: bind_resolve.c.
int wr_bind_resolve(lua_State *L);

/// Breakers, bulkheads and budgets: bind_guard.c.
int wr_bind_guard(lua_State *L);

/// Layers of a policy in one step: bind_plan.c.
int wr_bind_plan(lua_State *L);

/// Rate limiters: bind_limiter.c.
int wr_bind_limiter(lua_State *L);

/// Retry decisions: bind_retry.c.
int wr_bind_retry(lua_State *L);

/// Shedders, overload and priorities: bind_shedder.c.
int wr_bind_shedder(lua_State *L);

/// bind_chaos.c: experiments.
int wr_bind_chaos(lua_State *L);

/// bind_throttle.c: the client-side throttle.
int wr_bind_throttle(lua_State *L);

/// Hedged calls: bind_hedge.c.
int wr_bind_hedge(lua_State *L);

/// Sleeping, deadlines, background and child tasks: bind_task.c.
int wr_bind_task(lua_State *L);

/// TLS of listeners and upstreams: bind_tls.c.
int wr_bind_tls(lua_State *L);

/// Listeners, routes and jobs: bind_declare.c.
int wr_bind_declare(lua_State *L);

/// Tests that a bundle brings along: bind_selftest.c.
int wr_bind_selftest(lua_State *L);

/// The shared cache: bind_cache.c.
int wr_bind_cache(lua_State *L);

/// The HTTP cache: bind_http_cache.c.
int wr_bind_http_cache(lua_State *L);

/// Health checks: bind_health.c.
int wr_bind_health(lua_State *L);

/// Feature flags: bind_flag.c.
int wr_bind_flag(lua_State *L);

/// Metrics, log lines, environment: bind_observe.c.
int wr_bind_observe(lua_State *L);
