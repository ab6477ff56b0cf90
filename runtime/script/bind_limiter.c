#include "base/check.h"
#include "resilience/retry_after.h"
#include "script/bind.h"
#include "script/bind_declare.h"
#include "script/bind_guard.h"
#include "script/bind_response.h"
#include "script/request.h"
#include "script/table.h"

#include <lauxlib.h>
#include <stdio.h>

enum { FIELD_BYTES = 256, STATUS_LIMITED = 429 };

static struct wr_entry *check_limiter(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  return lua_touserdata(L, 1);
}

// core.limiter(name, options) -> handle | nil, message
static int l_limiter(lua_State *L)
{
  struct wr_limiter_config config;
  memset(&config, 0, sizeof(config));
  config.limit = wr_table_u32(L, 2, "limit", 0);
  config.period_ns = wr_table_u64(L, 2, "period", 0);
  config.burst = wr_table_u32(L, 2, "burst", 1);
  config.max_keys = wr_table_u32(L, 2, "max_keys", 0);
  const char *algorithm = wr_table_text(L, 2, "algorithm", "gcra");
  if (strcmp(algorithm, "sliding_window") == 0) config.algorithm = WR_LIMITER_SLIDING;
  config.shadow = strcmp(wr_table_text(L, 2, "mode", "normal"), "shadow") == 0;
  const char *problem = wr_limiter_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_LIMITER, &config, sizeof(config));
}

// What a policy's own function says a call costs.
static uint32_t check_cost(lua_State *L, const struct wr_entry *entry)
{
  lua_Number cost = luaL_optnumber(L, 3, 1);
  if (cost >= 1 && cost <= WR_LIMITER_COST_MAX) return (uint32_t)cost;
  return (uint32_t)luaL_error(L, "limiter '%s': a call's cost is %f; it must be 1 to %d",
                              entry->name, cost, WR_LIMITER_COST_MAX);
}

// core.limiter_take(handle, key | nil, cost | nil, wait_ns | nil, policy | nil) -> true | nil, err
static int l_limiter_take(lua_State *L)
{
  struct wr_entry *entry = check_limiter(L);
  struct wr_script *s = wr_script_of(L);
  struct wr_script_env *env = s->env;
  struct wr_guard_ask ask = {.key = wr_bind_guard_key(L, 2), .cost = check_cost(L, entry)};
  lua_Number wait_ns = luaL_optnumber(L, 4, 0);
  const char *policy = luaL_optstring(L, 5, NULL);
  uint64_t now_ns = wr_loop_now(env->loop);
  if (s->current) wr_bind_guard_ask(s->current, policy, NULL);
  if (wait_ns > 0) {
    struct wr_task *t = wr_task_require(L, "waiting for a limiter");
    uint64_t until_ns = now_ns + (uint64_t)wait_ns;
    ask.until_ns = until_ns < t->deadline_ns ? until_ns : t->deadline_ns;
    return wr_bind_guard_enter(L, t, entry, &ask);
  }
  struct wr_error refusal;
  if (!wr_guard_limiter_try(env->guard, entry, &ask, now_ns, &refusal)) {
    return wr_bind_guard_refuse(L, s->current, entry, policy, &refusal);
  }
  wr_bind_guard_note(s->current, entry, WR_STR("admitted"));
  lua_pushboolean(L, 1);
  return 1;
}

static void drain(struct wr_script_env *env, struct wr_entry *entry, uint64_t key,
                  uint64_t after_ns)
{
  uint64_t now_ns = wr_loop_now(env->loop);
  wr_guard_limiter_drain(env->registry, entry, key, now_ns + after_ns, now_ns);
}

// core.limiter_drain(handle, key | nil, ns)
static int l_limiter_drain(lua_State *L)
{
  struct wr_entry *entry = check_limiter(L);
  uint64_t after_ns = (uint64_t)luaL_checknumber(L, 3);
  drain(wr_script_of(L)->env, entry, wr_bind_guard_key(L, 2), after_ns);
  return 0;
}

// core.limiter_heed(handle, key | nil, value): drains when an upstream answered 429 with
// Retry-After
static int l_limiter_heed(lua_State *L)
{
  struct wr_entry *entry = check_limiter(L);
  struct wr_response *r = wr_bind_response_get(L, 3);
  if (r == NULL || r->status != STATUS_LIMITED) return 0;
  struct wr_str text = wr_headers_get(&r->headers, WR_STR("Retry-After"));
  int64_t wall = (int64_t)(wr_loop_wall() / WR_SECOND);
  uint64_t after_ns = 0;
  if (text.ptr == NULL || !wr_retry_after_parse(text, wall, &after_ns)) return 0;
  if (after_ns > WR_LIMITER_DRAIN_MAX) after_ns = WR_LIMITER_DRAIN_MAX;
  drain(wr_script_of(L)->env, entry, wr_bind_guard_key(L, 2), after_ns);
  return 0;
}

// RateLimit fields

// A name as a string of RFC 9651: printable ASCII, quotes escaped.
static void quote(char out[FIELD_BYTES], const char *name)
{
  size_t len = 0;
  for (; *name; name++) {
    bool is_plain = *name >= ' ' && *name < 0x7f;
    if (*name == '"' || *name == '\\') out[len++] = '\\';
    out[len++] = is_plain ? *name : '?';
  }
  out[len] = '\0';
}

static uint64_t seconds_up(uint64_t ns)
{
  return (ns + WR_SECOND - 1) / WR_SECOND;
}

// Fields of the same name are one list.
static void tell(struct wr_request *q, struct wr_str name, const char *value)
{
  char list[2 * FIELD_BYTES];
  struct wr_str before = wr_headers_get(&q->told, name);
  const char *comma = before.len > 0 ? ", " : "";
  int len = snprintf(list, sizeof(list), "%.*s%s%s", WR_STR_ARG(before), comma, value);
  if (len > 0 && (size_t)len < sizeof(list)) wr_headers_set_copy(&q->told, name, wr_str_of(list));
}

// core.limiter_tell(handle, key | nil): the response will say how the client stands
static int l_limiter_tell(lua_State *L)
{
  struct wr_entry *entry = check_limiter(L);
  struct wr_task *t = wr_task_require(L, "a limiter's fields");
  struct wr_script_env *env = t->script->env;
  struct wr_limiter_look look;
  if (t->trail == NULL || !wr_guard_limiter_look(env->registry, entry, wr_bind_guard_key(L, 2),
                                                 wr_loop_now(env->loop), &look)) {
    return 0;
  }
  struct wr_request *q = WR_CONTAINER(t->trail, struct wr_request, trail);
  char name[FIELD_BYTES];
  char field[2 * FIELD_BYTES];
  quote(name, entry->name);
  snprintf(field, sizeof(field), "\"%s\";q=%u;w=%llu", name, look.limit,
           (unsigned long long)seconds_up(look.span_ns));
  tell(q, WR_STR("RateLimit-Policy"), field);
  snprintf(field, sizeof(field), "\"%s\";r=%u;t=%llu", name, look.left,
           (unsigned long long)seconds_up(look.reset_ns));
  tell(q, WR_STR("RateLimit"), field);
  return 0;
}

static const luaL_Reg functions[] = {
    {"limiter", l_limiter},
    {"limiter_take", l_limiter_take},
    {"limiter_drain", l_limiter_drain},
    {"limiter_heed", l_limiter_heed},
    {"limiter_tell", l_limiter_tell},
    {NULL, NULL},
};

int wr_bind_limiter(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
