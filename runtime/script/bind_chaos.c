#include "base/check.h"
#include "resilience/chaos.h"
#include "script/bind.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/disturb.h"
#include "script/fetch.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>

enum { BODY_ROOM = 256 }; // of a response that stands for the upstream's

static struct wr_entry *check_entry(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  return lua_touserdata(L, 1);
}

// schedule: a list of { from, to } in nanoseconds; the library has bounded its length.
static void read_windows(lua_State *L, struct wr_chaos_config *config)
{
  lua_getfield(L, 2, "windows");
  size_t count = lua_istable(L, -1) ? lua_objlen(L, -1) : 0;
  for (size_t i = 0; i < count && i < WR_CHAOS_WINDOWS_MAX; i++) {
    lua_rawgeti(L, -1, (int)i + 1);
    config->windows[i].from_ns = wr_table_u64(L, -1, "from", 0);
    config->windows[i].to_ns = wr_table_u64(L, -1, "to", 0);
    config->window_count++;
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

// core.chaos(name, options) -> handle | nil, message
static int l_chaos(lua_State *L)
{
  struct wr_chaos_config config;
  memset(&config, 0, sizeof(config));
  wr_chaos_config_init(&config);
  config.probability = wr_table_num(L, 2, "probability", config.probability);
  config.latency_ns = wr_table_u64(L, 2, "latency", 0);
  config.variance_ns = wr_table_u64(L, 2, "variance", 0);
  config.expires_ns = wr_table_u64(L, 2, "expires", config.expires_ns);
  config.guard_rate = wr_table_num(L, 2, "guard_rate", config.guard_rate);
  config.guard_window_ns = wr_table_u64(L, 2, "guard_window", config.guard_window_ns);
  config.guard_min_calls = wr_table_u32(L, 2, "guard_min_calls", config.guard_min_calls);
  config.seed = wr_hash_fnv(0, wr_bind_str(L, 1));
  config.is_permitted = wr_script_of(L)->env->allow_chaos;
  read_windows(L, &config);
  const char *problem = wr_chaos_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_CHAOS, &config, sizeof(config));
}

// core.chaos_armed(handle) -> boolean
static int l_armed(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  lua_pushboolean(L, wr_chaos_is_armed(check_entry(L)->state, wr_loop_now(env->loop)));
  return 1;
}

// The same request draws the same in every process, and anew for each of its calls.
static uint64_t hash_of(struct wr_task *t)
{
  if (t->trail == NULL) return wr_rng_next(t->script->env->rng);
  uint32_t turn = t->trail->chaos_draws++;
  uint64_t hash = wr_hash_fnv(0, t->trail->request_id);
  return wr_hash_fnv(hash, (struct wr_str){(const char *)&turn, sizeof(turn)});
}

static void note(struct wr_task *t, const struct wr_entry *entry, uint64_t latency_ns)
{
  struct wr_chain_link *link = wr_task_note_copy(t, WR_DECISION_CHAOS, entry->name);
  if (link == NULL) return;
  link->result = WR_STR("hit");
  link->delay_ns = latency_ns;
}

// core.chaos_draw(handle) -> delay in ns when the running task's call is hit | nil
static int l_draw(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_script_env *env = t->script->env;
  struct wr_entry *entry = check_entry(L);
  uint64_t latency_ns = 0;
  if (t->trail) t->trail->chaos = wr_registry_ref(entry);
  if (!wr_guard_chaos_draw(env->guard, entry, hash_of(t), wr_loop_now(env->loop), &latency_ns)) {
    return 0;
  }
  note(t, entry, latency_ns);
  lua_pushnumber(L, (double)latency_ns);
  return 1;
}

// core.chaos_apply(handle, for_ns) -> true | nil, err
static int l_apply(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  struct wr_error error;
  uint64_t for_ns = (uint64_t)luaL_optnumber(L, 2, 0);
  uint64_t now_ns = wr_loop_now(env->loop);
  if (!wr_guard_chaos_apply(env->registry, check_entry(L), for_ns, now_ns, &error)) {
    return wr_bind_error_fail(L, &error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

// core.chaos_rollback(handle) -> was armed
static int l_rollback(lua_State *L)
{
  struct wr_script_env *env = wr_script_of(L)->env;
  bool was = wr_guard_chaos_rollback(env->registry, check_entry(L), wr_loop_now(env->loop));
  lua_pushboolean(L, was);
  return 1;
}

// --- faults: as the real ones would be, so that what is around them repeats the call or does not
// --

static struct wr_request *request_of(const struct wr_task *t)
{
  return t->trail ? WR_CONTAINER(t->trail, struct wr_request, trail) : NULL;
}

// The call was not made; the request that it is for says what it would have been.
static bool may_repeat(const struct wr_task *t)
{
  const struct wr_request *q = request_of(t);
  return q == NULL || wr_fetch_is_idempotent(q->info->head->method, &q->info->head->headers);
}

static int fail(lua_State *L, struct wr_task *t, struct wr_error *error)
{
  if (t->trail) wr_trail_error(t->trail, error);
  return wr_bind_error_fail(L, error);
}

// core.chaos_error(name, kind) -> nil, err
static int l_error(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_error error;
  enum wr_error_kind kind = wr_error_find(luaL_checkstring(L, 2));
  if (kind == WR_ERROR_NONE) return luaL_error(L, "no error kind");
  wr_error_set(&error, kind, "chaos '%s': the call was not made", luaL_checkstring(L, 1));
  bool is_early = kind == WR_ERROR_CONNECT || kind == WR_ERROR_DNS || kind == WR_ERROR_TLS;
  error.sent = is_early ? WR_SENT_NOTHING : WR_SENT_HEAD;
  error.retryable = is_early || may_repeat(t);
  return fail(L, t, &error);
}

// core.chaos_status(name, status) -> response
static int l_status(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  const char *name = luaL_checkstring(L, 1);
  struct wr_response *r = wr_response_new(t->script->env, t, BODY_ROOM);
  wr_bind_response_push(L, r);
  r->status = (int)luaL_checkinteger(L, 2);
  r->state = WR_RESPONSE_WHOLE;
  r->is_idempotent = may_repeat(t);
  wr_buf_printf(&r->body, "chaos '%s': the call was not made\n", name);
  r->has_length = true;
  r->length = r->body.len;
  wr_headers_add_copy(&r->headers, WR_STR("Content-Type"), WR_STR("text/plain; charset=utf-8"));
  return 1;
}

// core.chaos_lose(name, response) -> nil, err: it was made, and may have done what it does
static int l_lose(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_response *r = wr_bind_response_get(L, 2);
  struct wr_error error;
  wr_error_set(&error, WR_ERROR_RESET, "chaos '%s': the response was lost", luaL_checkstring(L, 1));
  error.sent = WR_SENT_HEAD;
  if (r) {
    error.retryable = r->is_idempotent;
    wr_response_cancel(r);
  }
  return fail(L, t, &error);
}

// The end of the connection ends the task.
static void cancel_hangup(struct wr_op *op)
{
  (void)op;
}

// core.chaos_hangup(): resets the client's connection and does not return; where there is no client
// nil, err
static int l_hangup(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_request *q = request_of(t);
  if (q == NULL || q->x == NULL) {
    struct wr_error error;
    wr_error_set(&error, WR_ERROR_RESET, "chaos: there is no client to hang up on");
    return wr_bind_error_fail(L, &error);
  }
  t->trail->is_hung_up = true;
  wr_exchange_reset(q->x);
  t->wait = (struct wr_op){.name = "the end of the connection", .cancel = cancel_hangup};
  return wr_task_suspend(L, &t->wait, 0);
}

// core.chaos_disturb(response, cut_after | nil, bytes_per_s | nil) -> response
static int l_disturb(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "chaos");
  struct wr_response *r = wr_bind_response_get(L, 1);
  struct wr_disturb_options options = {
      .cuts = !lua_isnoneornil(L, 2),
      .cut_after = (uint64_t)luaL_optnumber(L, 2, 0),
      .bytes_per_s = (uint64_t)luaL_optnumber(L, 3, 0),
  };
  bool is_readable = r && r->sink == NULL && r->on_ready == NULL &&
                     (r->state == WR_RESPONSE_FLOWING || r->state == WR_RESPONSE_WHOLE);
  if (is_readable) {
    wr_bind_response_push(L, wr_disturb(r, t, &options));
  } else {
    lua_pushvalue(L, 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"chaos", l_chaos},
    {"chaos_armed", l_armed},
    {"chaos_draw", l_draw},
    {"chaos_apply", l_apply},
    {"chaos_rollback", l_rollback},
    {"chaos_error", l_error},
    {"chaos_status", l_status},
    {"chaos_lose", l_lose},
    {"chaos_hangup", l_hangup},
    {"chaos_disturb", l_disturb},
    {NULL, NULL},
};

int wr_bind_chaos(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
