#include "script/bind_response.h"

#include "script/bind.h"
#include "script/bind_error.h"
#include "script/bind_headers.h"

#include <lauxlib.h>

static const char TYPE[] = "weir.Response";

enum { BODY_MAX = 64 * 1024 * 1024 }; // of a response that a script makes

struct handle {
  struct wr_bind_handle handle;
  struct wr_response *r; // counted reference; NULL once its client has it
};

void wr_bind_response_push(lua_State *L, struct wr_response *r)
{
  struct handle *handle = wr_bind_type_push(L, TYPE, sizeof(*handle));
  handle->r = wr_response_ref(r);
  r->handle = &handle->r;
}

struct wr_response *wr_bind_response_get(lua_State *L, int index)
{
  const struct handle *handle = wr_bind_type_get(L, index, TYPE);
  return handle ? handle->r : NULL;
}

struct wr_response *wr_bind_response_take(lua_State *L, int index)
{
  struct handle *handle = wr_bind_type_get(L, index, TYPE);
  struct wr_response *r = handle ? handle->r : NULL;
  bool is_ours = r != NULL && !wr_list_is_empty(&r->link) && r->handle == &handle->r;
  if (is_ours && wr_response_cut(r)) wr_bind_type_over(L, index, TYPE);
  return r;
}

bool wr_bind_response_is(lua_State *L, int index)
{
  return wr_bind_type_get(L, index, TYPE) != NULL;
}

static struct wr_response *check_response(lua_State *L, int index)
{
  const struct handle *handle = wr_bind_type_check(L, index, TYPE);
  if (handle->r == NULL) luaL_error(L, "this response is over: its client has it");
  return handle->r;
}

// core.response(status, body | nil, headers | nil, content_type | nil)
static int l_response(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  lua_Integer status = luaL_checkinteger(L, 1);
  if (status < 200 || status > 599) {
    return luaL_error(L, "a response status is between 200 and 599, not %d", (int)status);
  }
  size_t len = 0;
  const char *body = luaL_optlstring(L, 2, "", &len);
  struct wr_response *r = wr_response_new(s->env, s->current, BODY_MAX);
  wr_bind_response_push(L, r);
  if (s->current == NULL) wr_response_unref(r); // made at load: the handle alone holds it
  r->status = (int)status;
  r->state = WR_RESPONSE_WHOLE;
  r->wants_whole = true;
  r->has_length = true;
  r->length = len;
  if (!wr_buf_append(&r->body, body, len)) {
    return luaL_error(L, "a response body made by a script has at most %d bytes", BODY_MAX);
  }
  if (!lua_isnoneornil(L, 3)) wr_bind_headers_read(L, 3, &r->headers);
  if (!lua_isnoneornil(L, 4) && wr_headers_get(&r->headers, WR_STR("Content-Type")).ptr == NULL) {
    struct wr_str type = wr_str_of(luaL_checkstring(L, 4));
    wr_headers_add_copy(&r->headers, WR_STR("Content-Type"), type);
  }
  return 1;
}

// --- the whole body -----------------------------------------------------------------------------

static int push_body(lua_State *L, struct wr_response *r)
{
  if (r->state == WR_RESPONSE_BROKEN) return wr_bind_error_fail(L, &r->error);
  struct wr_str body = wr_buf_str(&r->body);
  lua_pushlstring(L, body.ptr, body.len);
  return 1;
}

static void on_whole(struct wr_response *r)
{
  struct wr_task *t = r->op.task;
  r->op.task = NULL;
  wr_task_resume(t, push_body(t->co, r));
}

static void cancel_whole(struct wr_op *op)
{
  struct wr_response *r = WR_CONTAINER(op, struct wr_response, op);
  r->on_ready = NULL;
  op->task = NULL;
  wr_response_cancel(r);
}

// response:text() -> string | nil, err
static int l_response_text(lua_State *L)
{
  struct wr_response *r = check_response(L, 1);
  if (r->state != WR_RESPONSE_FLOWING) {
    r->wants_whole = true;
    return push_body(L, r);
  }
  wr_task_require(L, "response:text");
  if (r->sink != NULL || r->on_ready != NULL) {
    return luaL_error(L, "the body of this response is being read already");
  }
  r->op = (struct wr_op){.name = "response body", .cancel = cancel_whole};
  r->on_ready = on_whole;
  r->wants_whole = true;
  wr_response_resume(r);
  return wr_task_suspend(L, &r->op, 0);
}

// --- fields -------------------------------------------------------------------------------------

static struct wr_headers *find_headers(void *owner)
{
  const struct handle *handle = owner;
  return handle->r ? &handle->r->headers : NULL;
}

static int push_headers(lua_State *L)
{
  lua_getfenv(L, 1);
  lua_getfield(L, -1, "headers");
  if (!lua_isnil(L, -1)) return 1;
  wr_bind_headers_push(L, find_headers, lua_touserdata(L, 1), 1);
  // One handle for each response: kept in its environment, which starts as the shared one.
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "headers");
  lua_setfenv(L, 1);
  return 1;
}

static int l_response_index(lua_State *L)
{
  struct wr_response *r = check_response(L, 1);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (!lua_isnil(L, -1)) return 1;
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "status") == 0) {
    lua_pushinteger(L, r->status);
    return 1;
  }
  if (strcmp(key, "headers") == 0) return push_headers(L);
  if (strcmp(key, "body") == 0) return r->state == WR_RESPONSE_WHOLE ? push_body(L, r) : 0;
  if (strcmp(key, "degraded") == 0 && r->rung[0] != '\0') {
    lua_pushstring(L, r->rung);
    return 1;
  }
  return 0;
}

static int l_response_newindex(lua_State *L)
{
  struct wr_response *r = check_response(L, 1);
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "status") != 0) {
    return luaL_error(L, "response.%s cannot be set; status can, and headers through headers:set",
                      key);
  }
  lua_Integer status = luaL_checkinteger(L, 3);
  if (status < 200 || status > 599) {
    return luaL_error(L, "a response status is between 200 and 599, not %d", (int)status);
  }
  r->status = (int)status;
  return 0;
}

static int l_response_tostring(lua_State *L)
{
  struct wr_response *r = wr_bind_response_get(L, 1);
  if (r == NULL) {
    lua_pushliteral(L, "response that is over");
  } else {
    lua_pushfstring(L, "response: %d", r->status);
  }
  return 1;
}

static int l_response_gc(lua_State *L)
{
  struct handle *handle = lua_touserdata(L, 1);
  struct wr_response *r = handle->r;
  handle->r = NULL;
  if (r == NULL) return 0;
  if (r->handle == &handle->r) r->handle = NULL;
  wr_response_unref(r);
  return 0;
}

// core.response_degrade(response, rung): marks which rung of a ladder answered.
static int l_response_degrade(lua_State *L)
{
  struct wr_response *r = check_response(L, 1);
  size_t len = 0;
  const char *rung = luaL_checklstring(L, 2, &len);
  wr_trail_name(r->rung, (struct wr_str){rung, len});
  return 0;
}

// core.is_response(value)
static int l_is_response(lua_State *L)
{
  lua_pushboolean(L, wr_bind_response_is(L, 1));
  return 1;
}

// core.response_drop(response): nobody will read it; its connection and permits go back now.
static int l_response_drop(lua_State *L)
{
  wr_response_cancel(check_response(L, 1));
  return 0;
}

static const luaL_Reg methods[] = {{"text", l_response_text}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"response", l_response},
    {"is_response", l_is_response},
    {"response_degrade", l_response_degrade},
    {"response_drop", l_response_drop},
    {NULL, NULL},
};

int wr_bind_response(lua_State *L)
{
  luaL_register(L, NULL, functions);
  wr_bind_type_new(L, TYPE);
  lua_newtable(L);
  luaL_register(L, NULL, methods);
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, "response_methods"); // the library adds what can be written in Lua (json)
  lua_pushcclosure(L, l_response_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_response_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, l_response_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, l_response_gc);
  lua_setfield(L, -2, "__gc");
  wr_bind_type_plain(L, TYPE);
  return 0;
}
