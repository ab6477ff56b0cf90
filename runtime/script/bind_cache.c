#include "script/bind.h"

#include "base/check.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/bind_task.h"
#include "script/guard_cache.h"
#include "script/table.h"
#include "script/trail.h"

#include <lauxlib.h>

enum { WAITERS_DEFAULT = 4096, VALUE_ROOM = 64 << 20 };

// What a stored value was, for reading it back.
enum form { FORM_TEXT = 1, FORM_JSON = 2, FORM_RESPONSE = 3 };

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
  config.space.entry_bytes = wr_table_u64(L, 2, "max_entry", 0);
  config.waiters = wr_table_u64(L, 2, "waiters", WAITERS_DEFAULT);
  if (config.waiters > WR_FLIGHT_WAITERS_MAX) return wr_bind_refuse(L, "too many waiters");
  return wr_bind_declare_entry(L, WR_KIND_CACHE, &config, sizeof(config));
}

// --- storing ------------------------------------------------------------------------------------

// Reads a list of texts into `tags`; they stay on the table. Returns how many.
static uint32_t read_tags(lua_State *L, int index, struct wr_str tags[WR_CACHE_TAGS_MAX])
{
  if (!lua_istable(L, index)) return 0;
  size_t count = lua_objlen(L, index);
  luaL_argcheck(L, count <= WR_CACHE_TAGS_MAX, index, "at most 8 tags");
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    tags[i].ptr = luaL_checklstring(L, -1, &tags[i].len);
    lua_pop(L, 1);
  }
  return (uint32_t)count;
}

// The options of a store, a table at `index` or nothing: failure, stale (ns), stamp, tags.
static void read_more(lua_State *L, int index, struct wr_cache_item *item,
                      struct wr_str tags[WR_CACHE_TAGS_MAX])
{
  item->stale_ns = UINT64_MAX;
  item->tags = tags;
  if (!lua_istable(L, index)) return;
  lua_getfield(L, index, "failure");
  item->at.is_failure = lua_toboolean(L, -1);
  lua_getfield(L, index, "stale");
  if (!lua_isnil(L, -1)) item->stale_ns = (uint64_t)luaL_checknumber(L, -1);
  lua_getfield(L, index, "stamp");
  item->stamp = (uint64_t)lua_tonumber(L, -1);
  lua_getfield(L, index, "tags");
  item->tag_count = read_tags(L, lua_gettop(L), tags);
  lua_pop(L, 4);
}

static int store(lua_State *L, struct wr_str value, enum form form)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_str tags[WR_CACHE_TAGS_MAX];
  struct wr_cache_item item = {.at = {check_space(L), wr_bind_str(L, 2), false},
                               .value = value,
                               .form = (uint8_t)form,
                               .ttl_ns = (uint64_t)luaL_optnumber(L, 4, 0)};
  read_more(L, 6, &item, tags);
  enum wr_cache_event event = wr_cache_set(env->arena, &item, wr_loop_now(env->loop));
  lua_pushboolean(L, event == WR_CACHE_STORED);
  lua_pushstring(L, wr_cache_event_name(event));
  return 2;
}

// core.cache_set(handle, key, text, ttl_ns | nil, is_json, more) -> stored, word. `more`: a table
// of failure, stale (ns), stamp, tags; or nil.
static int l_cache_set(lua_State *L)
{
  return store(L, wr_bind_str(L, 3), lua_toboolean(L, 5) ? FORM_JSON : FORM_TEXT);
}

// core.cache_stamp(handle, key, tags | nil) -> what `more.stamp` takes: a purge of the key or of a
// tag from now on keeps the value from being stored
static int l_cache_stamp(lua_State *L)
{
  struct wr_str tags[WR_CACHE_TAGS_MAX];
  struct wr_cache_item item = {.at = {check_space(L), wr_bind_str(L, 2), false}, .tags = tags};
  item.tag_count = read_tags(L, 3, tags);
  lua_pushnumber(L, (double)wr_cache_stamp(wr_script_of(L)->env->arena, &item));
  return 1;
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

// core.cache_set_response(handle, key, response, ttl_ns | nil, nil, more) -> stored, word. The body
// must be whole.
static int l_cache_set_response(lua_State *L)
{
  struct wr_response *r = wr_bind_response_get(L, 3);
  if (r == NULL || r->state != WR_RESPONSE_WHOLE) {
    return luaL_error(L, "only a response whose body is whole can be stored");
  }
  wr_bind_str(L, 2); // raises before there is memory to lose
  struct wr_buf out;
  wr_buf_init(&out, VALUE_ROOM);
  int results = 0;
  if (pack(r, &out)) {
    results = store(L, wr_buf_str(&out), FORM_RESPONSE);
  } else {
    lua_pushboolean(L, 0);
    lua_pushstring(L, wr_cache_event_name(WR_CACHE_TOO_LARGE));
    results = 2;
  }
  wr_buf_fini(&out);
  return results;
}

static bool unpack(struct wr_str from, struct wr_response *r)
{
  uint32_t head[2];
  if (!wr_str_take_copy(&from, sizeof(head), head)) return false;
  r->status = (int)head[0];
  for (uint32_t i = 0; i < head[1]; i++) {
    uint32_t sizes[2];
    struct wr_str name;
    struct wr_str value;
    if (!wr_str_take_copy(&from, sizeof(sizes), sizes) || !wr_str_take(&from, sizes[0], &name) ||
        !wr_str_take(&from, sizes[1], &value)) {
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
static int push_value(lua_State *L, struct wr_str value, uint8_t form)
{
  if (form != FORM_RESPONSE) {
    lua_pushlstring(L, value.ptr, value.len);
    lua_pushboolean(L, form == FORM_JSON);
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

// Finds a value and pushes it with whether it is JSON, and its age in seconds. 0 results: none.
static int find(lua_State *L, bool is_failure, struct wr_cache_found *found)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_cache_key at = {check_space(L), wr_bind_str(L, 2), is_failure};
  struct wr_buf out;
  wr_buf_init(&out, VALUE_ROOM);
  found->value = &out;
  int results = 0;
  if (wr_cache_get(env->arena, &at, wr_loop_now(env->loop), found) != WR_CACHE_NONE) {
    results = push_value(L, wr_buf_str(&out), found->form);
    lua_pushnumber(L, (double)found->age_ns / 1e9);
    results++;
  }
  wr_buf_fini(&out);
  return results;
}

static void count(lua_State *L, enum wr_cache_event event)
{
  struct wr_script *s = wr_script_of(L);
  struct wr_entry *space = check_space(L);
  wr_cache_count(space, event);
  struct wr_chain_link *link = wr_task_note_copy(s->current, WR_DECISION_CACHE, space->name);
  if (link) link->result = wr_str_of(wr_cache_event_name(event));
}

// core.cache_get(handle, key, allow_stale) -> value, is_json, age, is_stale | nil
static int l_cache_get(lua_State *L)
{
  struct wr_cache_found found = {.allow_stale = lua_toboolean(L, 3)};
  int results = find(L, false, &found);
  bool is_stale = found.stale_for_ns > 0;
  enum wr_cache_event event = is_stale ? WR_CACHE_STALE : WR_CACHE_HIT;
  count(L, results ? event : WR_CACHE_MISS);
  if (results == 0) return 0;
  lua_pushboolean(L, is_stale);
  return results + 1;
}

// core.cache_look(handle, key, is_failure) -> value, is_json, age, ttl_left, stale_for | nil: fresh
// or stale, times in seconds. Counts nothing.
static int l_cache_look(lua_State *L)
{
  struct wr_cache_found found = {.allow_stale = true};
  int results = find(L, lua_toboolean(L, 3), &found);
  if (results == 0) return 0;
  lua_pushnumber(L, (double)found.ttl_left_ns / 1e9);
  lua_pushnumber(L, (double)found.stale_for_ns / 1e9);
  return results + 2;
}

// core.cache_count(handle, word): counts one of the events of states.def
static int l_cache_count(lua_State *L)
{
  const char *word = luaL_checkstring(L, 2);
  for (int i = 0; i < WR_CACHE_EVENTS; i++) {
    enum wr_cache_event event = (enum wr_cache_event)i;
    if (strcmp(wr_cache_event_name(event), word) != 0) continue;
    count(L, event);
    return 0;
  }
  return luaL_error(L, "caches do not count '%s'", word);
}

// --- purging ------------------------------------------------------------------------------------

// core.cache_delete(handle, key) -> was there
static int l_cache_delete(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  lua_pushboolean(L, wr_cache_purge(env->arena, check_space(L), wr_bind_str(L, 2)));
  return 1;
}

// core.cache_purge_tag(handle, tag); the empty tag is all items
static int l_cache_purge_tag(lua_State *L)
{
  wr_cache_purge_tag(wr_script_of(L)->env->arena, check_space(L), wr_bind_str(L, 2));
  return 0;
}

// --- refreshing ---------------------------------------------------------------------------------

// core.cache_refresh(handle, key, fn, …) -> started: runs fn in the background as the one that
// fetches the key, unless another call does. It ends with core.leave(0, value, err).
static int l_cache_refresh(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_guard_ask ask = {.key = wr_hash_sip(&env->arena->header->hash_key, wr_bind_str(L, 2))};
  struct wr_error error;
  luaL_checktype(L, 3, LUA_TFUNCTION);
  uint64_t now = wr_loop_now(env->loop);
  bool leads = wr_guard_enter(env->guard, check_space(L), &ask, now, &error) == WR_GUARD_ADMITTED;
  struct wr_task *t = leads ? wr_bind_task_spawn(L, lua_gettop(L) - 3, &error) : NULL;
  if (t) wr_scope_push_ticket(t, ask.id, 0);
  if (leads && t == NULL) wr_guard_leave(env->guard, ask.id, WR_OUTCOME_CANCELLED, now);
  lua_pushboolean(L, t != NULL);
  return 1;
}

static const luaL_Reg functions[] = {
    {"cache", l_cache},
    {"cache_set", l_cache_set},
    {"cache_set_response", l_cache_set_response},
    {"cache_get", l_cache_get},
    {"cache_look", l_cache_look},
    {"cache_count", l_cache_count},
    {"cache_stamp", l_cache_stamp},
    {"cache_delete", l_cache_delete},
    {"cache_purge_tag", l_cache_purge_tag},
    {"cache_refresh", l_cache_refresh},
    {NULL, NULL},
};

int wr_bind_cache(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
