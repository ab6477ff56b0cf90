#include "script/bind.h"

#include "arena/cache.h"
#include "base/check.h"
#include "http/conditional.h"
#include "http/same_origin.h"
#include "script/bind_declare.h"
#include "script/bind_request.h"
#include "script/bind_response.h"
#include "script/guard_cache.h"
#include "script/http_cache.h"
#include "script/table.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

static const char TYPE[] = "weir.HttpCache";

static const struct wr_http_cache *check_cache(lua_State *L)
{
  return luaL_checkudata(L, 1, TYPE);
}

static struct wr_response *check_response(lua_State *L, int index)
{
  struct wr_response *r = wr_bind_response_get(L, index);
  if (r == NULL) luaL_error(L, "argument %d is not a response", index);
  return r;
}

// --- declaring ----------------------------------------------------------------------------------

static int64_t seconds(lua_State *L, const char *key, int64_t otherwise)
{
  uint64_t ns = wr_table_u64(L, 2, key, UINT64_MAX);
  return ns == UINT64_MAX ? otherwise : (int64_t)(ns / WR_SECOND);
}

static void read_targets(lua_State *L, struct wr_http_cache *c)
{
  lua_getfield(L, 2, "targets");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  for (size_t i = 1; i <= count && c->target_count < WR_HTTP_CACHE_TARGETS_MAX; i++) {
    lua_rawgeti(L, -1, (int)i);
    snprintf(c->targets[c->target_count++], sizeof(c->targets[0]), "%s", luaL_checkstring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static void read_options(lua_State *L, struct wr_http_cache *c)
{
  static const char *const cookies[] = {"never", "public", "always"};
  memset(c, 0, sizeof(*c));
  c->rules.is_shared = wr_table_bool(L, 2, "shared", true);
  c->rules.obeys_requests = wr_table_bool(L, 2, "obey_requests", true);
  c->rules.heuristic = wr_table_num(L, 2, "heuristic", 0);
  c->rules.heuristic_max_s = seconds(L, "heuristic_max", 0);
  c->rules.ttl_s = seconds(L, "ttl", WR_CACHE_CONTROL_NONE);
  c->rules.stale_while_revalidate_s = seconds(L, "stale_while_revalidate", 0);
  c->rules.stale_if_error_s = seconds(L, "stale_if_error", 0);
  c->object_max = (size_t)wr_table_u64(L, 2, "max_object", 0);
  c->keep_ns = wr_table_u64(L, 2, "keep", 0);
  const char *word = wr_table_text(L, 2, "set_cookie", "public");
  for (size_t i = 0; i < WR_COUNT(cookies); i++) {
    if (strcmp(word, cookies[i]) == 0) c->cookies = (enum wr_storable_cookies)i;
  }
  read_targets(L, c);
}

// core.http_cache(name, options) -> handle, space (for core.cache_claim) | nil, message
static int l_http_cache(lua_State *L)
{
  struct wr_http_cache c;
  read_options(L, &c);
  struct wr_cache_options config;
  memset(&config, 0, sizeof(config));
  config.space.ttl_ns = 60 * WR_SECOND; // every item says its own
  config.space.stale_ns = c.keep_ns;
  config.waiters = wr_table_u64(L, 2, "waiters", 0);
  int results = wr_bind_declare_entry(L, WR_KIND_CACHE, &config, sizeof(config));
  if (results != 1) return results;
  c.space = lua_touserdata(L, -1);
  struct wr_http_cache *handle = lua_newuserdata(L, sizeof(c));
  *handle = c;
  luaL_getmetatable(L, TYPE);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -2);
  return 2;
}

// --- before the call ----------------------------------------------------------------------------

static bool push_key(lua_State *L, const struct wr_request *q, struct wr_str target,
                     struct wr_str extra)
{
  struct wr_buf key;
  wr_buf_init(&key, 2 * WR_CACHE_KEY_MAX);
  bool ok = wr_http_cache_key(q, target, extra, &key);
  if (ok) lua_pushlstring(L, wr_buf_head(&key), key.len);
  wr_buf_fini(&key);
  return ok;
}

static struct wr_str optional(lua_State *L, int index)
{
  return lua_isnoneornil(L, index) ? WR_STR("") : wr_bind_str(L, index);
}

// core.http_cache_plan(cache, request, extra | nil) -> "look" | "unsafe", key, only_if_cached
//                                                    | "pass", reason
static int l_plan(lua_State *L)
{
  const struct wr_http_cache *c = check_cache(L);
  const struct wr_request *q = wr_bind_request_check(L, 2);
  struct wr_str extra = optional(L, 3);
  const char *reason = NULL;
  enum wr_http_cache_plan plan = wr_http_cache_plan(c, q, &reason);
  lua_pushstring(L, plan == WR_HTTP_CACHE_LOOK ? "look" : "unsafe");
  if (plan != WR_HTTP_CACHE_PASS && push_key(L, q, q->info->target, extra)) {
    struct wr_cache_control room;
    const struct wr_cache_control *asked = wr_http_cache_asked(c, q, &room);
    lua_pushboolean(L, asked && asked->only_if_cached);
    return 3;
  }
  lua_pushliteral(L, "pass");
  lua_pushstring(L, plan == WR_HTTP_CACHE_PASS ? reason : "bypass");
  return 2;
}

// core.http_cache_key(cache, request, extra | nil, target | nil) -> key | nil
static int l_key(lua_State *L)
{
  check_cache(L);
  const struct wr_request *q = wr_bind_request_check(L, 2);
  struct wr_str target = lua_isnoneornil(L, 4) ? q->info->target : wr_bind_str(L, 4);
  return push_key(L, q, target, optional(L, 3)) ? 1 : 0;
}

static void push_found(lua_State *L, const struct wr_http_cache *c, const struct wr_request *q,
                       const struct wr_http_cache_found *found)
{
  static const char *const words[] = {"serve", "refresh", "validate"};
  struct wr_cache_control room;
  const struct wr_cache_control *asked = wr_http_cache_asked(c, q, &room);
  uint64_t age = wr_freshness_age(&found->freshness, wr_loop_now(q->env->loop));
  enum wr_freshness_verdict verdict = wr_freshness_judge(&found->freshness, age, asked);
  lua_pushstring(L, words[verdict]);
  lua_pushnumber(L, (double)age / 1e9);
  lua_pushnumber(L, (double)found->freshness.lifetime_s);
  lua_pushnumber(L, (double)wr_freshness_error_left(&found->freshness, age, asked) / 1e9);
  lua_pushlstring(L, wr_buf_head(&found->where), found->where.len);
}

// core.http_cache_find(cache, key, request)
//   -> response, "serve" | "refresh" | "validate", age, lifetime, seconds usable on error, where
//    | nil, "uri-miss" | "vary-miss", where it would lie | nil when nobody is to wait for it
static int l_find(lua_State *L)
{
  const struct wr_http_cache *c = check_cache(L);
  struct wr_str key = wr_bind_str(L, 2);
  const struct wr_request *q = wr_bind_request_check(L, 3);
  struct wr_task *t = wr_task_require(L, "http_cache:serve");
  struct wr_response *r = wr_response_new(q->env, t, 64 * 1024 * 1024);
  struct wr_http_cache_found found;
  int results = 2;
  if (wr_http_cache_find(c, key, q, r, &found)) {
    wr_bind_response_push(L, r);
    push_found(L, c, q, &found);
    results = 6;
  } else {
    wr_list_remove(&r->link);
    wr_response_unref(r);
    lua_pushnil(L);
    lua_pushstring(L, found.has_variants ? "vary-miss" : "uri-miss");
    if (!found.is_passed) {
      struct wr_str where = found.has_variants ? wr_buf_str(&found.where) : key;
      lua_pushlstring(L, where.ptr, where.len);
      results = 3;
    }
  }
  wr_http_cache_found_fini(&found);
  return results;
}

// core.http_cache_condition(request, stored): makes the request ask whether the stored response is
// still right, whatever the client's own conditions were.
static int l_condition(lua_State *L)
{
  struct wr_request *q = wr_bind_request_check(L, 1);
  const struct wr_response *stored = check_response(L, 2);
  // The head is the exchange's own: scripts change it through request.headers too.
  struct wr_headers *h = (struct wr_headers *)&q->info->head->headers;
  struct wr_str tag = wr_headers_get(&stored->headers, WR_STR("ETag"));
  struct wr_str date = wr_headers_get(&stored->headers, WR_STR("Last-Modified"));
  wr_headers_remove(h, WR_STR("If-None-Match"));
  wr_headers_remove(h, WR_STR("If-Modified-Since"));
  if (tag.ptr) wr_headers_add_copy(h, WR_STR("If-None-Match"), tag);
  if (date.ptr) wr_headers_add_copy(h, WR_STR("If-Modified-Since"), date);
  return 0;
}

// --- after the call -----------------------------------------------------------------------------

// core.http_cache_keep(cache, key, request, response, stamp) -> true | nil, reason
static int l_keep(lua_State *L)
{
  const struct wr_http_cache *c = check_cache(L);
  struct wr_str key = wr_bind_str(L, 2);
  const struct wr_request *q = wr_bind_request_check(L, 3);
  uint64_t stamp = (uint64_t)luaL_checknumber(L, 5);
  const char *refusal = wr_http_cache_keep(c, key, stamp, q, check_response(L, 4));
  if (refusal) return wr_bind_refuse(L, refusal);
  lua_pushboolean(L, 1);
  return 1;
}

// core.http_cache_freshen(cache, key, where, request, stored, update, stamp) -> age, lifetime | nil
// when it may be kept no longer
static int l_freshen(lua_State *L)
{
  const struct wr_http_cache *c = check_cache(L);
  const struct wr_request *q = wr_bind_request_check(L, 4);
  struct wr_http_cache_news news = {.key = wr_bind_str(L, 2),
                                    .where = wr_bind_str(L, 3),
                                    .stored = check_response(L, 5),
                                    .update = check_response(L, 6),
                                    .stamp = (uint64_t)luaL_checknumber(L, 7)};
  if (!wr_http_cache_freshen(c, q, &news)) return 0;
  lua_pushnumber(L, (double)news.freshness.initial_age_ns / 1e9);
  lua_pushnumber(L, (double)news.freshness.lifetime_s);
  return 2;
}

// core.http_cache_same(stored, head_response) -> does the answer to a HEAD describe what is stored?
static int l_same(lua_State *L)
{
  const struct wr_response *stored = check_response(L, 1);
  const struct wr_response *head = check_response(L, 2);
  bool same_length = !head->has_length || head->length == stored->body.len;
  lua_pushboolean(L, head->status == stored->status && same_length &&
                         wr_storable_same(&stored->headers, &head->headers));
  return 1;
}

// core.http_cache_forget(cache, key)
static int l_forget(lua_State *L)
{
  const struct wr_http_cache *c = check_cache(L);
  wr_http_cache_forget(c, wr_script_of(L)->env, wr_bind_str(L, 2));
  return 0;
}

static void forget_reference(lua_State *L, const struct wr_request *q, const char *field)
{
  const struct wr_http_cache *c = check_cache(L);
  const struct wr_response *r = check_response(L, 3);
  struct wr_str reference = wr_headers_get(&r->headers, wr_str_of(field));
  if (reference.ptr == NULL) return;
  struct wr_region region;
  struct wr_buf key;
  wr_region_init(&region, 64 * 1024);
  wr_buf_init(&key, 2 * WR_CACHE_KEY_MAX);
  struct wr_str named =
      wr_same_origin_resolve(reference, q->info->head->host, q->info->target, &region);
  if (named.ptr && wr_http_cache_key(q, named, optional(L, 4), &key)) {
    wr_http_cache_forget(c, q->env, wr_buf_str(&key));
  }
  wr_buf_fini(&key);
  wr_region_fini(&region);
}

// core.http_cache_forget_named(cache, request, response, extra | nil): forgets what the answer to
// an unsafe request names, of this origin.
static int l_forget_named(lua_State *L)
{
  const struct wr_request *q = wr_bind_request_check(L, 2);
  forget_reference(L, q, "Location");
  forget_reference(L, q, "Content-Location");
  return 0;
}

// --- answering ----------------------------------------------------------------------------------

__attribute__((format(printf, 3, 4))) static void set_field(struct wr_response *r, const char *name,
                                                            const char *format, ...)
{
  char text[96];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  wr_headers_set_copy(&r->headers, wr_str_of(name), (struct wr_str){text, (size_t)len});
}

static void cut(struct wr_response *r, size_t from, size_t len)
{
  wr_buf_drop(&r->body, from);
  r->body.len = len;
  r->length = len;
}

static void answer_range(struct wr_response *r, const struct wr_request *q)
{
  struct wr_conditional_part part;
  uint64_t whole = r->body.len;
  switch (wr_conditional_read_range(&q->info->head->headers, &r->headers, whole, &part)) {
  case WR_CONDITIONAL_WHOLE: break;
  case WR_CONDITIONAL_PART:
    r->status = 206;
    set_field(r, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, part.from, part.to,
              whole);
    cut(r, (size_t)part.from, (size_t)(part.to - part.from + 1));
    break;
  case WR_CONDITIONAL_UNSATISFIABLE:
    r->status = 416;
    wr_conditional_strip(&r->headers);
    set_field(r, "Content-Range", "bytes */%" PRIu64, whole);
    cut(r, 0, 0);
    break;
  }
}

// core.http_cache_answer(request, response, age): makes the stored response the answer to this
// request: Age; 304, 206 or 416 where the request asks for it.
static int l_answer(lua_State *L)
{
  const struct wr_request *q = wr_bind_request_check(L, 1);
  struct wr_response *r = check_response(L, 2);
  double age = luaL_checknumber(L, 3);
  const struct wr_headers *asked = &q->info->head->headers;
  set_field(r, "Age", "%" PRIu64, (uint64_t)(age < 0 ? 0 : age));
  int64_t wall_s = (int64_t)(wr_loop_wall() / WR_SECOND);
  if (r->status < 200 || r->status > 299) return 0;
  if (wr_conditional_not_modified(asked, &r->headers, wall_s)) {
    r->status = 304;
    wr_conditional_strip(&r->headers);
    cut(r, 0, 0);
  } else if (r->status == 200 && wr_str_eq(q->info->head->method, WR_STR("GET"))) {
    answer_range(r, q);
  }
  return 0;
}

static const luaL_Reg functions[] = {
    {"http_cache", l_http_cache},
    {"http_cache_plan", l_plan},
    {"http_cache_key", l_key},
    {"http_cache_find", l_find},
    {"http_cache_condition", l_condition},
    {"http_cache_keep", l_keep},
    {"http_cache_freshen", l_freshen},
    {"http_cache_same", l_same},
    {"http_cache_forget", l_forget},
    {"http_cache_forget_named", l_forget_named},
    {"http_cache_answer", l_answer},
    {NULL, NULL},
};

int wr_bind_http_cache(lua_State *L)
{
  luaL_register(L, NULL, functions);
  luaL_newmetatable(L, TYPE);
  return 0;
}
