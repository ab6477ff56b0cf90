#include "script/bind_request.h"

#include "base/check.h"
#include "http/uri.h"
#include "script/bind.h"
#include "script/bind_error.h"
#include "script/bind_headers.h"
#include "script/bind_tls.h"
#include "script/task.h"

#include <lauxlib.h>

static const char TYPE[] = "weir.Request";

struct handle {
  struct wr_bind_handle handle;
  struct wr_list link;  // among those of its request
  struct wr_request *q; // NULL once over
  bool has_cache;       // its environment is a table of its own
};

void wr_bind_request_push(lua_State *L, struct wr_request *q)
{
  struct handle *handle = wr_bind_type_push(L, TYPE, sizeof(*handle));
  handle->q = q;
  wr_list_push(&q->handles, &handle->link);
}

void wr_bind_request_cut(struct wr_request *q)
{
  struct wr_list *node;
  q->is_cut = true;
  while ((node = wr_list_pop(&q->handles)) != NULL) {
    struct handle *handle = WR_CONTAINER(node, struct handle, link);
    handle->q = q->is_kept ? wr_request_copy(q, q->info->head->method) : NULL;
  }
}

void wr_bind_request_end(lua_State *L, int index)
{
  struct handle *handle = lua_touserdata(L, index);
  if (handle->q == NULL || handle->q->is_kept || handle->q->is_copy) return;
  wr_list_remove(&handle->link);
  handle->q = NULL;
  wr_bind_type_over(L, index, TYPE);
}

struct wr_request *wr_bind_request_check(lua_State *L, int index)
{
  struct handle *handle = wr_bind_type_check(L, index, TYPE);
  if (handle->q == NULL) luaL_error(L, "this request is over");
  return handle->q;
}

// --- fields -------------------------------------------------------------------------------------

static int push_str(lua_State *L, struct wr_str s)
{
  if (s.ptr == NULL) return 0;
  lua_pushlstring(L, s.ptr, s.len);
  return 1;
}

static struct wr_headers *find_headers(void *owner)
{
  struct handle *handle = owner;
  if (handle->q == NULL) return NULL;
  // The head is the exchange's own and nobody else's: scripts may rewrite what is forwarded.
  return (struct wr_headers *)&handle->q->info->head->headers;
}

static void push_params(lua_State *L, const struct wr_request *q)
{
  lua_createtable(L, 0, (int)q->param_count);
  for (size_t i = 0; i < q->param_count; i++) {
    lua_pushlstring(L, q->params[i].name.ptr, q->params[i].name.len);
    lua_pushlstring(L, q->params[i].value.ptr, q->params[i].value.len);
    lua_rawset(L, -3);
  }
}

// "a=1&b=x%20y" as a table; '+' is a space, the last of equal names wins.
static struct wr_str plus_to_space(struct wr_str s, struct wr_region *region)
{
  if (s.len == 0 || memchr(s.ptr, '+', s.len) == NULL) return s;
  struct wr_str copy = wr_region_copy(region, s);
  char *bytes = (char *)copy.ptr; // ours: just made
  for (size_t i = 0; i < copy.len; i++) {
    if (bytes[i] == '+') bytes[i] = ' ';
  }
  return copy;
}

static void push_query(lua_State *L, const struct wr_request *q)
{
  lua_newtable(L);
  struct wr_str rest = q->info->head->query;
  while (rest.ptr != NULL) {
    struct wr_str value = wr_str_split(&rest, '&');
    struct wr_str name = wr_str_split(&value, '=');
    name = wr_uri_decode(plus_to_space(name, q->info->region), q->info->region);
    value = wr_uri_decode(plus_to_space(value, q->info->region), q->info->region);
    if (name.ptr == NULL || name.len == 0) continue;
    lua_pushlstring(L, name.ptr, name.len);
    lua_pushlstring(L, value.ptr ? value.ptr : "", value.len);
    lua_rawset(L, -3);
  }
}

// What is a table or a handle is made once and kept in the request's environment, which many
// requests do without.
static int push_cached(lua_State *L, struct wr_request *q, const char *key)
{
  if (key[0] == 't' && q->info->tls == NULL) return 0;
  struct handle *handle = lua_touserdata(L, 1);
  if (!handle->has_cache) {
    lua_newtable(L);
    lua_setfenv(L, 1);
    handle->has_cache = true;
  }
  lua_getfenv(L, 1);
  lua_getfield(L, -1, key);
  if (!lua_isnil(L, -1)) return 1;
  lua_pop(L, 1);
  if (key[0] == 'h') {
    wr_bind_headers_push(L, find_headers, lua_touserdata(L, 1), 1);
  } else if (key[0] == 'p') {
    push_params(L, q);
  } else if (key[0] == 't') {
    wr_bind_tls_push(L, q->info->tls);
  } else {
    push_query(L, q);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, key);
  return 1;
}

enum field {
  METHOD,
  PATH,
  TARGET,
  HOST,
  SCHEME,
  CLIENT,
  ID,
  TRACE_ID,
  ROUTE,
  PRIORITY,
  HEADERS,
  PARAMS,
  QUERY,
  TLS
};

static int push_trace_id(lua_State *L, const struct wr_request *q)
{
  if (q->trail.trace == NULL) return 0;
  lua_pushstring(L, q->trail.trace->context.trace_id);
  return 1;
}

static int push_field(lua_State *L, struct wr_request *q, enum field field)
{
  switch (field) {
  case METHOD: return push_str(L, q->info->head->method);
  case PATH: return push_str(L, q->info->path);
  case TARGET: return push_str(L, q->info->head->target);
  case HOST: return push_str(L, q->info->head->host);
  case SCHEME: return push_str(L, q->info->scheme);
  case CLIENT: return push_str(L, q->client);
  case ID: return push_str(L, q->info->request_id);
  case TRACE_ID: return push_trace_id(L, q);
  case ROUTE: lua_pushstring(L, q->trail.route); return 1;
  case PRIORITY: lua_pushstring(L, wr_priority_name((enum wr_priority)q->priority)); return 1;
  case HEADERS: return push_cached(L, q, "headers");
  case PARAMS: return push_cached(L, q, "params");
  case QUERY: return push_cached(L, q, "query");
  case TLS: return push_cached(L, q, "tls");
  }
  WR_UNREACHABLE("every field is listed");
}

// Upvalue 1 maps names to methods (functions) and fields (numbers).
static int l_request_index(lua_State *L)
{
  struct wr_request *q = wr_bind_request_check(L, 1);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  if (lua_type(L, -1) != LUA_TNUMBER) return 1;
  return push_field(L, q, (enum field)lua_tointeger(L, -1));
}

// --- the whole body -----------------------------------------------------------------------------

static int push_body(lua_State *L, struct wr_request *q)
{
  if (q->body_state == WR_REQUEST_BROKEN) return wr_bind_error_fail(L, &q->gone);
  struct wr_str body = wr_buf_str(&q->body);
  lua_pushlstring(L, body.ptr, body.len);
  return 1;
}

// One task that waits for the whole body; a sibling of `weir.all` may be another.
struct waiting {
  struct wr_request_reader reader;
  struct wr_op op;
  bool wants_text; // else it is enough that it is there
};

static int push_there(lua_State *L, struct wr_request *q)
{
  if (q->body_state == WR_REQUEST_BROKEN) return wr_bind_error_fail(L, &q->gone);
  lua_pushboolean(L, 1);
  return 1;
}

static void on_whole(struct wr_request_reader *reader, struct wr_request *q)
{
  struct waiting *w = WR_CONTAINER(reader, struct waiting, reader);
  struct wr_task *t = w->op.task;
  wr_task_resume(t, w->wants_text ? push_body(t->co, q) : push_there(t->co, q));
}

static void cancel_whole(struct wr_op *op)
{
  wr_list_remove(&WR_CONTAINER(op, struct waiting, op)->reader.link);
}

static int read_whole(lua_State *L, struct wr_request *q, bool wants_text)
{
  wr_task_require(L, "the body of a request");
  struct waiting *w = wr_region_take(q->info->region, sizeof(*w));
  if (w == NULL) return luaL_error(L, "no more memory for this request");
  w->wants_text = wants_text;
  w->reader.on_ready = on_whole;
  w->op = (struct wr_op){.name = "request body", .cancel = cancel_whole};
  wr_request_read_whole(q, &w->reader);
  return wr_task_suspend(L, &w->op, 0);
}

// request:text() -> string | nil, err
static int l_request_text(lua_State *L)
{
  struct wr_request *q = wr_bind_request_check(L, 1);
  if (q->body_state == WR_REQUEST_WHOLE || q->body_state == WR_REQUEST_BROKEN) {
    return push_body(L, q);
  }
  if (!wr_request_has_body(q)) {
    lua_pushliteral(L, "");
    return 1;
  }
  if (q->body_state == WR_REQUEST_FORWARDED) {
    return luaL_error(L, "the body of this request was forwarded and is gone");
  }
  return read_whole(L, q, true);
}

// core.request_await(request) -> true, once a body that is unread or being read is there | nil,
// err. Lua does not get it.
static int l_request_await(lua_State *L)
{
  struct wr_request *q = wr_bind_request_check(L, 1);
  bool is_coming = q->body_state == WR_REQUEST_UNREAD || q->body_state == WR_REQUEST_READING;
  return is_coming ? read_whole(L, q, false) : push_there(L, q);
}

// core.request_copy(request): the handle goes on beyond the exchange, as a GET of its own.
static int l_request_copy(lua_State *L)
{
  struct handle *handle = wr_bind_type_check(L, 1, TYPE);
  struct wr_request *q = wr_bind_request_check(L, 1);
  if (q->is_copy) return 0;
  wr_list_remove(&handle->link);
  handle->q = wr_request_copy(q, WR_STR("GET"));
  return 0;
}

// core.request_keep(request): the handle goes on beyond the exchange, as a copy without a body.
static int l_request_keep(lua_State *L)
{
  wr_bind_request_check(L, 1)->is_kept = true;
  return 0;
}

static int l_request_gc(lua_State *L)
{
  struct handle *handle = lua_touserdata(L, 1);
  wr_list_remove(&handle->link);
  if (handle->q && handle->q->is_copy) wr_request_free_copy(handle->q);
  handle->q = NULL;
  return 0;
}

static int l_request_tostring(lua_State *L)
{
  struct handle *handle = wr_bind_type_check(L, 1, TYPE);
  if (handle->q == NULL) {
    lua_pushliteral(L, "request: over");
  } else {
    const struct wr_head *head = handle->q->info->head;
    lua_pushlstring(L, head->method.ptr, head->method.len);
    lua_pushliteral(L, " ");
    lua_pushlstring(L, head->target.ptr, head->target.len);
    lua_concat(L, 3);
  }
  return 1;
}

// core.current_request() -> the request that the running task works for, or nil
static int l_current_request(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "the current request");
  if (t->trail == NULL) return 0;
  struct wr_request *q = WR_CONTAINER(t->trail, struct wr_request, trail);
  if (q->is_cut) return 0;
  wr_bind_request_push(L, q);
  return 1;
}

static const struct {
  const char *name;
  enum field field;
} fields[] = {
    {"method", METHOD},   {"path", PATH},         {"target", TARGET}, {"host", HOST},
    {"scheme", SCHEME},   {"client", CLIENT},     {"id", ID},         {"route", ROUTE},
    {"headers", HEADERS}, {"params", PARAMS},     {"query", QUERY},   {"priority", PRIORITY},
    {"tls", TLS},         {"trace_id", TRACE_ID},
};

int wr_bind_request(lua_State *L)
{
  lua_pushcfunction(L, l_current_request);
  lua_setfield(L, 1, "current_request");
  wr_bind_type_new(L, TYPE);
  lua_newtable(L);
  lua_pushcfunction(L, l_request_text);
  lua_setfield(L, -2, "text");
  for (size_t i = 0; i < WR_COUNT(fields); i++) {
    lua_pushinteger(L, (lua_Integer)fields[i].field);
    lua_setfield(L, -2, fields[i].name);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, "request_methods"); // the library adds what can be written in Lua (json)
  lua_pushcclosure(L, l_request_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, l_request_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, l_request_gc);
  lua_setfield(L, -2, "__gc");
  wr_bind_type_plain(L, TYPE);
  lua_pushcfunction(L, l_request_copy);
  lua_setfield(L, 1, "request_copy");
  lua_pushcfunction(L, l_request_await);
  lua_setfield(L, 1, "request_await");
  lua_pushcfunction(L, l_request_keep);
  lua_setfield(L, 1, "request_keep");
  return 0;
}
