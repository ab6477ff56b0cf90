#include "script/bind.h"

#include "base/check.h"
#include "script/bind_error.h"
#include "script/bind_headers.h"
#include "script/bind_request.h"
#include "script/bind_upstream.h"
#include "script/fetch.h"
#include "script/table.h"

#include <lauxlib.h>

static const char TYPE[] = "weir.Upstream";

enum {
  REPLAY_MAX = 64 * 1024,        // a request body up to this is kept, so that it can be sent again
  STREAM_HELD_MAX = 1024 * 1024, // response body held while nobody takes it
  WHOLE_MAX = 8 * 1024 * 1024,   // default bound of a buffered response body
};

struct handle {
  struct wr_bind_handle handle;
  struct wr_upstream *u;
};

struct wr_upstream *wr_bind_upstream_check(lua_State *L, int index)
{
  const struct handle *handle = wr_bind_type_check(L, index, TYPE);
  return handle->u;
}

void wr_bind_upstream_push(lua_State *L, struct wr_upstream *u)
{
  struct handle *handle = wr_bind_type_push(L, TYPE, sizeof(*handle));
  handle->u = u;
}

static int l_upstream_gc(lua_State *L)
{
  struct handle *handle = lua_touserdata(L, 1);
  struct wr_upstream *u = handle->u;
  handle->u = NULL;
  if (u == NULL) return 0;
  wr_list_remove(&u->link); // it may outlive the script by what is under way
  wr_upstream_unref(u);
  return 0;
}

// Starts the attempt and waits: the common end of everything below.
static int start(lua_State *L, struct wr_task *t, const struct wr_fetch *fetch, uint64_t limit_ns)
{
  struct wr_error error;
  struct wr_response *r = wr_fetch_start(t, fetch, &error);
  if (r == NULL) return wr_bind_error_fail(L, &error);
  return wr_task_suspend(L, &r->op, limit_ns);
}

static struct wr_str table_str(lua_State *L, int index, const char *key)
{
  lua_getfield(L, index, key);
  struct wr_str s = {NULL, 0};
  if (lua_type(L, -1) == LUA_TSTRING) s.ptr = lua_tolstring(L, -1, &s.len);
  lua_pop(L, 1); // the table keeps the string alive
  return s;
}

// --- forward ------------------------------------------------------------------------------------

// A path given by the script replaces the client's target and must be fit to be sent.
static struct wr_str check_target(lua_State *L, int index, struct wr_str otherwise)
{
  const char *path = lua_istable(L, index) ? wr_table_text(L, index, "path", NULL) : NULL;
  if (path == NULL) return otherwise;
  struct wr_str target = wr_str_of(path);
  bool ok = target.len > 0 && target.ptr[0] == '/';
  for (size_t i = 0; ok && i < target.len; i++) {
    unsigned char c = (unsigned char)target.ptr[i];
    ok = c > 0x20 && c < 0x7f && c != '#';
  }
  if (!ok) {
    luaL_error(L,
               "path '%s' cannot be sent: it starts with '/' and holds visible ASCII without '#'; "
               "escape the rest with weir.escape",
               path);
  }
  return target;
}

// A body without a length that has come whole (the window of its stream bounds it) is sent with
// one: so its end reaches the upstream with its last byte.
static bool is_here(const struct wr_request *q)
{
  return q->info->head->framing == WR_FRAMING_CHUNKED && q->x && wr_exchange_is_here(q->x);
}

// Is the body to be read whole before it is sent: it is small enough to keep and still unread, or
// somebody reads it whole already?
static bool is_replayable(const struct wr_request *q)
{
  const struct wr_head *head = q->info->head;
  bool is_small = head->framing == WR_FRAMING_LENGTH && head->content_length > 0 &&
                  head->content_length <= REPLAY_MAX;
  return q->body_state == WR_REQUEST_READING ||
         (q->body_state == WR_REQUEST_UNREAD && (is_small || is_here(q)));
}

// core.upstream_forward(upstream, request, options) -> response | nil, err | false: read the body,
// then call again.
static int l_upstream_forward(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  struct wr_request *q = wr_bind_request_check(L, 2);
  struct wr_task *t = wr_task_require(L, "upstream:forward");
  const struct wr_head *head = q->info->head;
  if (is_replayable(q)) {
    lua_pushboolean(L, 0);
    return 1;
  }
  struct wr_fetch fetch = {.upstream = u,
                           .method = head->method,
                           .target = check_target(L, 3, q->info->target),
                           .headers = &head->headers,
                           .request = q,
                           .body_max = STREAM_HELD_MAX};
  if (wr_request_has_body(q) && q->body_state == WR_REQUEST_FORWARDED) {
    struct wr_error error;
    wr_error_set(&error, WR_ERROR_CLOSED,
                 "the request body is larger than %d bytes and was sent "
                 "already: it cannot be sent again",
                 REPLAY_MAX);
    return wr_bind_error_fail(L, &error);
  }
  if (q->body_state == WR_REQUEST_BROKEN) return wr_bind_error_fail(L, &q->gone);
  if (q->body_state == WR_REQUEST_WHOLE) fetch.body = wr_buf_str(&q->body);
  uint64_t limit = 0;
  if (lua_istable(L, 3)) {
    limit = wr_table_u64(L, 3, "timeout", 0);
    fetch.key = table_str(L, 3, "key");
  }
  return start(L, t, &fetch, limit);
}

// --- calls of our own ---------------------------------------------------------------------------

// Headers of an option table, in memory that lives until the transfer has copied them.
static void read_headers(lua_State *L, int index, struct wr_region *region, struct wr_headers *h)
{
  wr_headers_init(h, region, 64);
  lua_getfield(L, index, "headers");
  if (lua_istable(L, -1)) wr_bind_headers_read(L, -1, h);
  lua_pop(L, 1);
}

static void read_call(lua_State *L, int index, struct wr_fetch *fetch)
{
  fetch->method = wr_str_of(wr_table_text(L, index, "method", "GET"));
  if (!wr_headers_is_token(fetch->method)) {
    luaL_error(L, "'%s' is not a method", fetch->method.ptr);
  }
  fetch->body = table_str(L, index, "body");
  fetch->wants_whole = true;
  fetch->body_max = (size_t)wr_table_u64(L, index, "max_body", WHOLE_MAX);
}

// The region of a call lives in a userdata: an error in between leaves it to the collector.
static int l_region_gc(lua_State *L)
{
  wr_region_fini(lua_touserdata(L, 1));
  return 0;
}

static struct wr_region *push_region(lua_State *L)
{
  struct wr_region *region = lua_newuserdata(L, sizeof(*region));
  wr_region_init(region, 128 * 1024);
  luaL_getmetatable(L, "weir.Region");
  lua_setmetatable(L, -2);
  return region;
}

// core.upstream_request(upstream, options) -> response | nil, err
static int l_upstream_request(lua_State *L)
{
  struct wr_upstream *u = wr_bind_upstream_check(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  struct wr_task *t = wr_task_require(L, "upstream:request");
  struct wr_headers headers;
  struct wr_fetch fetch = {.upstream = u, .target = check_target(L, 2, WR_STR("/"))};
  read_call(L, 2, &fetch);
  fetch.key = table_str(L, 2, "key");
  read_headers(L, 2, push_region(L), &headers);
  fetch.headers = &headers;
  return start(L, t, &fetch, wr_table_u64(L, 2, "timeout", 0));
}

// Path and query of a URL as a request's target.
static struct wr_str target_of(const struct wr_uri *uri, struct wr_region *region)
{
  if (uri->query.ptr == NULL) return uri->path;
  // In "http://host?q" the path is none of the text's.
  if (uri->path.ptr + uri->path.len + 1 == uri->query.ptr) {
    return (struct wr_str){uri->path.ptr, uri->path.len + 1 + uri->query.len};
  }
  char *text = wr_region_take(region, uri->query.len + 2);
  memcpy(text, "/?", 2);
  memcpy(text + 2, uri->query.ptr, uri->query.len);
  return (struct wr_str){text, uri->query.len + 2};
}

// Any URL.
static bool aim_at_url(lua_State *L, struct wr_region *region, struct wr_uri *uri,
                       struct wr_fetch *fetch, struct wr_error *error)
{
  const char *reason = NULL;
  struct wr_str url = table_str(L, 1, "url");
  if (url.ptr == NULL || !wr_uri_parse(uri, url, region, &reason)) {
    wr_error_set(error, WR_ERROR_INVALID, "'%.*s' is not a URL: %s", (int)url.len,
                 url.ptr ? url.ptr : "", reason ? reason : "it is missing");
    return false;
  }
  fetch->target = target_of(uri, region);
  return true;
}

// An endpoint of the upstream `like`, and a path there.
static bool aim_at_endpoint(lua_State *L, struct wr_region *region, struct wr_uri *uri,
                            struct wr_fetch *fetch, struct wr_error *error)
{
  struct wr_str path = wr_str_of(wr_table_text(L, 1, "path", "/"));
  if (!wr_endpoint_read(table_str(L, 1, "endpoint"), region, uri, error)) return false;
  char *text = wr_region_take(region, uri->path.len + path.len);
  memcpy(text, uri->path.ptr, uri->path.len);
  memcpy(text + uri->path.len, path.ptr, path.len);
  fetch->target = (struct wr_str){text, uri->path.len + path.len};
  fetch->is_trusted = true;
  lua_getfield(L, 1, "like");
  fetch->like = wr_bind_upstream_check(L, -1);
  lua_pop(L, 1);
  return true;
}

// core.http_request(options) -> response | nil, err: of a `url`, `trusted` or not; or of a `path`
// at an `endpoint` of the upstream `like`
static int l_http_request(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TTABLE);
  struct wr_task *t = wr_task_require(L, "weir.http");
  struct wr_region *region = push_region(L);
  struct wr_headers headers;
  struct wr_uri uri;
  struct wr_error error;
  struct wr_fetch fetch = {.uri = &uri, .is_trusted = wr_table_bool(L, 1, "trusted", false)};
  bool is_endpoint = table_str(L, 1, "endpoint").ptr != NULL;
  bool ok = is_endpoint ? aim_at_endpoint(L, region, &uri, &fetch, &error)
                        : aim_at_url(L, region, &uri, &fetch, &error);
  if (!ok) return wr_bind_error_fail(L, &error);
  read_call(L, 1, &fetch);
  read_headers(L, 1, region, &headers);
  fetch.headers = &headers;
  return start(L, t, &fetch, wr_table_u64(L, 1, "timeout", 0));
}

// core.escape(text) -> text with everything but unreserved characters as %XX
static int l_escape(lua_State *L)
{
  struct wr_str out = wr_uri_encode(wr_bind_str(L, 1), push_region(L));
  if (out.ptr == NULL) return luaL_error(L, "the text is too long to escape");
  lua_pushlstring(L, out.ptr, out.len);
  return 1;
}

static const luaL_Reg functions[] = {
    {"upstream_forward", l_upstream_forward},
    {"upstream_request", l_upstream_request},
    {"http_request", l_http_request},
    {"escape", l_escape},
    {NULL, NULL},
};

int wr_bind_upstream(lua_State *L)
{
  luaL_register(L, NULL, functions);
  wr_bind_type_new(L, TYPE);
  lua_pushcfunction(L, l_upstream_gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, 1, "upstream_methods"); // the library fills it: forward, request, get, …
  lua_setfield(L, -2, "__index");
  luaL_newmetatable(L, "weir.Region");
  lua_pushcfunction(L, l_region_gc);
  lua_setfield(L, -2, "__gc");
  return 0;
}
