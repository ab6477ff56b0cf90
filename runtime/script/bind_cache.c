#include "script/bind.h"

#include "base/check.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/guard_cache.h"
#include "script/meter.h"
#include "script/table.h"

#include <lauxlib.h>

enum { WAITERS_DEFAULT = 4096 };

// What a stored value was, for reading it back.
enum tag { TAG_STRING = 1, TAG_JSON = 2, TAG_RESPONSE = 3 };

// Fields of a response that are kept with it; the others belong to the exchange that it came from.
static bool is_kept(struct wr_str name)
{
  static const char *const kept[] = {"Content-Type", "Content-Language", "Content-Encoding", "ETag",
                                     "Last-Modified"};
  for (size_t i = 0; i < WR_COUNT(kept); i++) {
    if (wr_str_eq_nocase(name, wr_str_of(kept[i]))) return true;
  }
  return false;
}

static struct wr_entry *check_space(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  return lua_touserdata(L, 1);
}

// core.cache(name, options) -> handle | nil, message
static int l_cache(lua_State *L)
{
  struct wr_cache_options config;
  memset(&config, 0, sizeof(config));
  config.space.ttl_ns = wr_table_u64(L, 2, "ttl", 60 * WR_SECOND);
  config.space.stale_ns = wr_table_u64(L, 2, "stale", 3600 * WR_SECOND);
  config.space.entry_bytes = wr_table_u64(L, 2, "max_entry", 1024 * 1024);
  config.waiters = wr_table_u64(L, 2, "waiters", WAITERS_DEFAULT);
  return wr_bind_declare_entry(L, WR_KIND_CACHE, &config, sizeof(config));
}

static int store(lua_State *L, struct wr_str value, enum tag tag)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_cache_item item = {.key = wr_bind_str(L, 2),
                               .value = value,
                               .tag = (uint8_t)tag,
                               .ttl_ns = (uint64_t)luaL_optnumber(L, 4, 0),
                               .stale_ns = UINT64_MAX};
  bool stored = wr_cache_set(env->arena, check_space(L), &item, wr_loop_now(env->loop));
  lua_pushboolean(L, stored);
  return 1;
}

// core.cache_set(handle, key, text, ttl_ns | nil, is_json) -> stored
static int l_cache_set(lua_State *L)
{
  return store(L, wr_bind_str(L, 3), lua_toboolean(L, 5) ? TAG_JSON : TAG_STRING);
}

static bool put_field(struct wr_buf *out, struct wr_str name, struct wr_str value)
{
  uint32_t sizes[2] = {(uint32_t)name.len, (uint32_t)value.len};
  return wr_buf_append(out, sizes, sizeof(sizes)) && wr_buf_append_str(out, name) &&
         wr_buf_append_str(out, value);
}

// Status, number of fields, the fields, the body.
static bool pack(struct wr_response *r, struct wr_buf *out)
{
  uint32_t head[2] = {(uint32_t)r->status, 0};
  for (size_t i = 0; i < r->headers.count; i++) head[1] += is_kept(r->headers.items[i].name);
  bool ok = wr_buf_append(out, head, sizeof(head));
  for (size_t i = 0; ok && i < r->headers.count; i++) {
    const struct wr_header *field = &r->headers.items[i];
    if (is_kept(field->name)) ok = put_field(out, field->name, field->value);
  }
  return ok && wr_buf_append_str(out, wr_buf_str(&r->body));
}

// core.cache_set_response(handle, key, response, ttl_ns | nil) -> stored. The body must be whole.
static int l_cache_set_response(lua_State *L)
{
  struct wr_response *r = wr_bind_response_get(L, 3);
  if (r == NULL || r->state != WR_RESPONSE_WHOLE) {
    return luaL_error(L, "only a response whose body is whole can be stored");
  }
  wr_bind_str(L, 2); // raises before there is memory to lose
  struct wr_buf out;
  wr_buf_init(&out, 64 * 1024 * 1024);
  bool ok = pack(r, &out);
  int results = 0;
  if (ok) {
    results = store(L, wr_buf_str(&out), TAG_RESPONSE);
  } else {
    lua_pushboolean(L, 0);
    results = 1;
  }
  wr_buf_fini(&out);
  return results;
}

static bool take(struct wr_str *from, void *out, size_t len)
{
  if (from->len < len) return false;
  memcpy(out, from->ptr, len);
  from->ptr += len;
  from->len -= len;
  return true;
}

static bool take_str(struct wr_str *from, struct wr_str *out, size_t len)
{
  if (from->len < len) return false;
  *out = (struct wr_str){from->ptr, len};
  from->ptr += len;
  from->len -= len;
  return true;
}

static bool unpack(struct wr_str from, struct wr_response *r)
{
  uint32_t head[2];
  if (!take(&from, head, sizeof(head))) return false;
  r->status = (int)head[0];
  for (uint32_t i = 0; i < head[1]; i++) {
    uint32_t sizes[2];
    struct wr_str name;
    struct wr_str value;
    if (!take(&from, sizes, sizeof(sizes)) || !take_str(&from, &name, sizes[0]) ||
        !take_str(&from, &value, sizes[1])) {
      return false;
    }
    wr_headers_add_copy(&r->headers, name, value);
  }
  r->state = WR_RESPONSE_WHOLE;
  r->has_length = true;
  r->length = from.len;
  return wr_buf_append_str(&r->body, from);
}

// Pushes text and whether it is JSON, or the response.
static int push_value(lua_State *L, struct wr_str value, uint8_t tag)
{
  if (tag != TAG_RESPONSE) {
    lua_pushlstring(L, value.ptr, value.len);
    lua_pushboolean(L, tag == TAG_JSON);
    return 2;
  }
  struct wr_script *s = wr_script_of(L);
  struct wr_response *r = wr_response_new(s->env, s->current, value.len + 1);
  if (unpack(value, r)) {
    wr_bind_response_push(L, r);
  } else {
    lua_pushnil(L);
  }
  if (s->current == NULL) wr_response_unref(r);
  lua_pushboolean(L, 0);
  return 2;
}

// core.cache_get(handle, key, allow_stale) -> value, is_json, age, is_stale | nil
static int l_cache_get(lua_State *L)
{
  static const char *const words[] = {"miss", "stale", "hit"};
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_entry *space = check_space(L);
  struct wr_buf out;
  wr_buf_init(&out, 64 * 1024 * 1024);
  struct wr_cache_found found = {.value = &out, .allow_stale = lua_toboolean(L, 3)};
  enum wr_cache_result result =
      wr_cache_get(env->arena, space, wr_bind_str(L, 2), wr_loop_now(env->loop), &found);
  wr_meter_add(env->meter, WR_METRIC_CACHE_REQUESTS, 1, "name", space->name, "status",
               words[result], NULL);
  int results = 0;
  if (result != WR_CACHE_MISS) {
    results = push_value(L, wr_buf_str(&out), found.tag);
    lua_pushnumber(L, (double)found.age_ns / 1e9);
    lua_pushboolean(L, result == WR_CACHE_STALE);
    results += 2;
  }
  wr_buf_fini(&out);
  return results;
}

// core.cache_delete(handle, key) -> was there
static int l_cache_delete(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  lua_pushboolean(L, wr_cache_delete(env->arena, check_space(L), wr_bind_str(L, 2)));
  return 1;
}

static const luaL_Reg functions[] = {
    {"cache", l_cache},
    {"cache_set", l_cache_set},
    {"cache_set_response", l_cache_set_response},
    {"cache_get", l_cache_get},
    {"cache_delete", l_cache_delete},
    {NULL, NULL},
};

int wr_bind_cache(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
