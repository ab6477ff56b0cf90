#include "script/bind.h"

#include "base/alloc.h"
#include "base/check.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/health_page.h"
#include "script/table.h"
#include "script/task.h"
#include "upstream/probe.h"

#include <lauxlib.h>

static struct wr_entry *check_health(lua_State *L, int index)
{
  luaL_checktype(L, index, LUA_TLIGHTUSERDATA);
  return lua_touserdata(L, index);
}

static enum wr_health_type type_of(const char *name)
{
  for (int i = 0; name && i < WR_HEALTH_TYPES; i++) {
    enum wr_health_type type = (enum wr_health_type)i;
    if (strcmp(wr_health_type_name(type), name) == 0) return type;
  }
  return WR_HEALTH_TYPE_CHECK;
}

// core.health(name, options) -> handle | nil, message. Times in ns; `type`, `target` as text.
static int l_health(lua_State *L)
{
  struct wr_health_config config;
  memset(&config, 0, sizeof(config));
  wr_health_config_init(&config);
  config.interval_ns = wr_table_u64(L, 2, "interval", config.interval_ns);
  config.timeout_ns = wr_table_u64(L, 2, "timeout", config.timeout_ns);
  config.jitter = wr_table_num(L, 2, "jitter", config.jitter);
  config.rise = wr_table_u32(L, 2, "rise", config.rise);
  config.fall = wr_table_u32(L, 2, "fall", config.fall);
  config.is_critical = wr_table_bool(L, 2, "critical", true);
  config.type = (uint8_t)type_of(wr_table_text(L, 2, "type", NULL));
  config.target = wr_hash_fnv(0, wr_str_of(wr_table_text(L, 2, "target", "")));
  const char *problem = wr_health_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_HEALTH, &config, sizeof(config));
}

// core.health_ok(handle) -> boolean: is it not known to be down?
static int l_health_ok(lua_State *L)
{
  const struct wr_entry *entry = lua_touserdata(L, 1);
  lua_pushboolean(L, wr_health_verdict(entry->state) != WR_HEALTH_DOWN);
  return 1;
}

// --- checking -----------------------------------------------------------------------------------

// core.health_claim(handle) -> claim, depth for core.health_report | nil, ns until it may be due
static int l_health_claim(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a health check");
  struct wr_entry *entry = check_health(L, 1);
  struct wr_script_env *env = t->script->env;
  struct wr_guard_ask ask = {0};
  struct wr_error refusal;
  if (wr_guard_enter(env->guard, entry, &ask, wr_loop_now(env->loop), &refusal) !=
      WR_GUARD_ADMITTED) {
    uint64_t after = ask.why.after_ns ? ask.why.after_ns : WR_SECOND;
    lua_pushnil(L);
    lua_pushnumber(L, (double)after);
    return 2;
  }
  lua_pushnumber(L, (double)ask.why.numbers[0]);
  lua_pushinteger(L, (lua_Integer)wr_scope_mark(t));
  wr_scope_push_ticket(t, ask.id, 0);
  return 2;
}

// core.health_report(handle, claim, depth, ok, err): the result of a claimed check
static int l_health_report(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a health check");
  struct wr_entry *entry = check_health(L, 1);
  struct wr_script_env *env = t->script->env;
  uint64_t claim = (uint64_t)luaL_checknumber(L, 2);
  size_t depth = (size_t)luaL_checkinteger(L, 3);
  uint64_t now = wr_loop_now(env->loop);
  struct wr_error error = {0};
  lua_settop(L, 5);
  if (depth >= t->scope_count) return 0;
  if (!lua_toboolean(L, 4) && !wr_bind_error_read(L, 5, &error)) {
    wr_error_set(&error, WR_ERROR_REFUSED, "the check did not pass");
  }
  uint64_t us = (now - t->scopes[depth].started_ns) / 1000;
  struct wr_health_result result = {.at_ns = now,
                                    .latency_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX,
                                    .error = (uint8_t)error.kind};
  wr_guard_health_report(env->registry, entry, claim, &result, error.message);
  wr_scope_unwind(t, depth);
  return 0;
}

// A probe that a task waits for. Freed when its socket is gone.
struct waiting {
  struct wr_op op;
  struct wr_probe probe;
};

static void on_probe_done(struct wr_probe *p, const struct wr_error *error)
{
  struct wr_task *t = WR_CONTAINER(p, struct waiting, probe)->op.task;
  if (error) {
    wr_task_resume_error(t, error);
    return;
  }
  lua_pushboolean(t->co, 1);
  wr_task_resume(t, 1);
}

static void on_probe_closed(struct wr_probe *p)
{
  wr_free(WR_CONTAINER(p, struct waiting, probe));
}

static void cancel_probe(struct wr_op *op)
{
  wr_probe_cancel(&WR_CONTAINER(op, struct waiting, op)->probe);
}

// core.probe(type, host, port) -> true | nil, err; the ambient deadline bounds it
static int l_probe(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a probe");
  struct wr_probe_target target = {.type = type_of(luaL_checkstring(L, 1)),
                                   .host = wr_bind_str(L, 2),
                                   .port = (uint16_t)luaL_checkinteger(L, 3)};
  struct wr_script_env *env = t->script->env;
  struct waiting *w = wr_alloc(sizeof(*w));
  w->op = (struct wr_op){.name = "probe", .cancel = cancel_probe};
  w->probe.on_done = on_probe_done;
  w->probe.on_closed = on_probe_closed;
  wr_probe_start(&w->probe, env->loop, env->resolver, &target);
  return wr_task_suspend(L, &w->op, 0);
}

// --- asking -------------------------------------------------------------------------------------

static void set_number(lua_State *L, const char *key, double value)
{
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

static void set_boolean(lua_State *L, const char *key, bool value)
{
  lua_pushboolean(L, value);
  lua_setfield(L, -2, key);
}

static void push_result(lua_State *L, const struct wr_health_result *result, uint64_t now_ns)
{
  lua_createtable(L, 0, 4);
  set_number(L, "age", now_ns > result->at_ns ? (double)(now_ns - result->at_ns) / 1e9 : 0);
  set_number(L, "latency", result->latency_us / 1e6);
  set_boolean(L, "ok", result->error == WR_ERROR_NONE);
  if (result->error == WR_ERROR_NONE) return;
  lua_pushstring(L, wr_error_name((enum wr_error_kind)result->error));
  lua_setfield(L, -2, "error");
}

static void push_history(lua_State *L, const struct wr_health *h, uint64_t now_ns)
{
  const struct wr_health_result *result;
  lua_createtable(L, (int)h->count, 0);
  for (uint32_t i = 0; (result = wr_health_at(h, i)) != NULL; i++) {
    push_result(L, result, now_ns);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_setfield(L, -2, "history");
}

// core.health_status(handle) -> { state, ok, stale, since, output, history }, newest result first
static int l_health_status(lua_State *L)
{
  struct wr_entry *entry = check_health(L, 1);
  struct wr_script_env *env = wr_script_of(L)->env;
  uint64_t now = wr_loop_now(env->loop);
  struct wr_health h;
  if (!wr_guard_look(env->registry, entry, now, &h)) return 0;
  enum wr_health_verdict verdict = wr_health_verdict(&h);
  lua_createtable(L, 0, 6);
  lua_pushstring(L, wr_health_verdict_name(verdict));
  lua_setfield(L, -2, "state");
  lua_pushstring(L, h.output);
  lua_setfield(L, -2, "output");
  set_boolean(L, "ok", verdict != WR_HEALTH_DOWN);
  set_boolean(L, "stale", wr_health_is_stale(&h, now));
  set_number(L, "since", now > h.since_ns ? (double)(now - h.since_ns) / 1e9 : 0);
  push_history(L, &h, now);
  return 1;
}

// core.health_page() -> status of the response, JSON text
static int l_health_page(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_buf out;
  struct wr_json j;
  wr_buf_init(&out, WR_HEALTH_PAGE_MAX);
  wr_json_init(&j, &out);
  enum wr_health_page_status status =
      wr_health_page_write(env->registry, wr_loop_now(env->loop), wr_loop_wall(), &j);
  lua_pushinteger(L, status == WR_HEALTH_FAIL || j.failed ? 503 : 200);
  struct wr_str text = wr_buf_str(&out);
  lua_pushlstring(L, j.failed ? "{}" : text.ptr, j.failed ? 2 : text.len);
  wr_buf_fini(&out);
  return 2;
}

static const luaL_Reg functions[] = {
    {"health", l_health},
    {"health_ok", l_health_ok},
    {"health_claim", l_health_claim},
    {"health_report", l_health_report},
    {"health_status", l_health_status},
    {"health_page", l_health_page},
    {"probe", l_probe},
    {NULL, NULL},
};

int wr_bind_health(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
