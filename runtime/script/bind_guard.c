#include "script/bind.h"

#include "base/check.h"
#include "resilience/shedder.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_guard.h"
#include "script/bind_plan.h"
#include "script/bind_response.h"
#include "script/meter.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>
#include <stdio.h>

// Handles in Lua are light pointers to registry entries: the generation holds every entry it
// declared, and only the library ever sees them.
static struct wr_entry *check_entry(lua_State *L, int index)
{
  luaL_checktype(L, index, LUA_TLIGHTUSERDATA);
  return lua_touserdata(L, index);
}

// --- declaring ----------------------------------------------------------------------------------

static enum wr_breaker_mode mode_of(const char *name)
{
  for (int i = 0; name && i < WR_BREAKER_MODES; i++) {
    enum wr_breaker_mode mode = (enum wr_breaker_mode)i;
    if (strcmp(wr_breaker_mode_name(mode), name) == 0) return mode;
  }
  return WR_BREAKER_MODE_NORMAL;
}

// core.breaker(name, options) -> handle | nil, message. Times in ns, rates 0..1, health_handle: the
// check that holds it open.
static int l_breaker(lua_State *L)
{
  struct wr_breaker_config config;
  memset(&config, 0, sizeof(config));
  wr_breaker_config_init(&config);
  config.mode = (uint8_t)mode_of(wr_table_text(L, 2, "mode", NULL));
  uint64_t calls = wr_table_u64(L, 2, "window_calls", 0);
  if (calls > 0) {
    config.window_kind = WR_WINDOW_COUNT;
    config.window_size = calls;
  } else {
    config.window_size = wr_table_u64(L, 2, "window", config.window_size);
  }
  config.min_calls = wr_table_u32(L, 2, "min_calls", config.min_calls);
  config.consecutive = wr_table_u32(L, 2, "consecutive", config.consecutive);
  config.failure_rate = wr_table_num(L, 2, "failure_rate", config.failure_rate);
  config.slow_rate = wr_table_num(L, 2, "slow_rate", config.slow_rate);
  config.slow_call_ns = wr_table_u64(L, 2, "slow_call", config.slow_call_ns);
  config.open_ns = wr_table_u64(L, 2, "open", config.open_ns);
  config.open_max_ns = wr_table_u64(L, 2, "open_max", config.open_max_ns);
  config.open_jitter = wr_table_num(L, 2, "jitter", config.open_jitter);
  config.probes = wr_table_u32(L, 2, "probes", config.probes);
  config.attempt_timeout_ns = wr_table_u64(L, 2, "attempt_timeout", config.attempt_timeout_ns);
  config.ramp_ns = wr_table_u64(L, 2, "ramp", config.ramp_ns);
  lua_getfield(L, 2, "health_handle");
  config.health = wr_guard_health_tie(lua_touserdata(L, -1));
  lua_pop(L, 1);
  if (config.open_max_ns < config.open_ns) config.open_max_ns = config.open_ns;
  const char *problem = wr_breaker_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_BREAKER, &config, sizeof(config));
}

// core.bulkhead(name, options) -> handle | nil, message
static int l_bulkhead(lua_State *L)
{
  struct wr_bulkhead_config config;
  memset(&config, 0, sizeof(config));
  wr_bulkhead_config_init(&config);
  config.max = wr_table_u32(L, 2, "max", config.max);
  config.queue = wr_table_u32(L, 2, "queue", config.queue);
  config.wait_ns = wr_table_u64(L, 2, "wait", config.wait_ns);
  config.max_keys = wr_table_u32(L, 2, "max_keys", config.max_keys);
  const char *order = wr_table_text(L, 2, "order", "fifo");
  config.order = strcmp(order, "adaptive") == 0 ? WR_BULKHEAD_ADAPTIVE : WR_BULKHEAD_FIFO;
  config.shadow = strcmp(wr_table_text(L, 2, "mode", "normal"), "shadow") == 0;
  const char *problem = wr_bulkhead_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_BULKHEAD, &config, sizeof(config));
}

// core.budget(name, options) -> handle | nil, message
static int l_budget(lua_State *L)
{
  struct wr_budget_config config;
  memset(&config, 0, sizeof(config));
  wr_budget_config_init(&config);
  config.ratio = wr_table_num(L, 2, "ratio", config.ratio);
  config.min = wr_table_u32(L, 2, "min", config.min);
  config.span_ns = wr_table_u64(L, 2, "span", config.span_ns);
  const char *problem = wr_budget_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_BUDGET, &config, sizeof(config));
}

// --- entering -----------------------------------------------------------------------------------

static void note_refusal(struct wr_trail *trail, const struct wr_entry *entry,
                         const struct wr_error *refusal)
{
  wr_trail_error(trail, refusal);
  if (trail->refused_by[0]) return;
  snprintf(trail->refused_by, WR_TRAIL_NAME_MAX, "%.14s %.48s", refusal->primitive, entry->name);
  wr_trail_name(trail->refused_policy, wr_str_of(refusal->policy));
  trail->refused_after_ns = refusal->after_ns;
  trail->why = wr_guard_why(entry);
}

static struct wr_bind_label copy_label(struct wr_task *t, const struct wr_entry *entry)
{
  struct wr_chain *chain = &t->trail->chain;
  return (struct wr_bind_label){
      .kind = wr_str_of(wr_registry_kind_name(entry->kind)),
      .name = wr_chain_text(chain, wr_str_of(entry->name)),
      .policy = wr_chain_text(chain, wr_str_of(t->wait_policy)),
  };
}

struct wr_chain_link *wr_bind_guard_note(struct wr_task *t, const struct wr_entry *entry,
                                         struct wr_str result)
{
  // Claims of caches are not told of: what the cache had is.
  if (entry->kind == WR_KIND_CACHE) return NULL;
  struct wr_chain_link *link = wr_task_note(t, WR_DECISION_ADMISSION, WR_STR(""));
  if (link == NULL) return NULL;
  struct wr_bind_label label = t->wait_label ? *t->wait_label : copy_label(t, entry);
  link->kind = label.kind;
  link->name = label.name;
  link->policy = label.policy;
  link->result = result;
  link->begun_ns = t->wait_since_ns;
  return link;
}

// `policy` is whose layer asked; NULL: the one that the primitive is named after.
int wr_bind_guard_refuse(lua_State *L, struct wr_task *t, const struct wr_entry *entry,
                         const char *policy, struct wr_error *refusal)
{
  snprintf(refusal->primitive, sizeof(refusal->primitive), "%s",
           wr_registry_kind_name(entry->kind));
  snprintf(refusal->policy, sizeof(refusal->policy), "%s", policy ? policy : entry->name);
  if (t && t->trail) {
    note_refusal(t->trail, entry, refusal);
    struct wr_chain_link *link = wr_bind_guard_note(t, entry, wr_str_of(wr_guard_why(entry)));
    if (link) link->why = wr_chain_text(&t->trail->chain, wr_str_of(refusal->message));
  }
  return wr_bind_error_fail(L, refusal);
}

// How long a call that the deadline cut off must have run to be held against the upstream; see
// wr_ticket_outcome. 0: however long, it proves nothing.
static uint64_t attempt_timeout_of(const struct wr_entry *entry)
{
  if (entry->kind == WR_KIND_BREAKER) {
    return ((const struct wr_breaker_config *)entry->config)->attempt_timeout_ns;
  }
  if (entry->kind == WR_KIND_SHEDDER) {
    return ((const struct wr_shedder_config *)entry->config)->limit.max_healthy_ns;
  }
  return 0;
}

// Puts an admission under the task's care; one that holds nothing is over at once.
static void admit(struct wr_task *t, struct wr_entry *entry, uint64_t id)
{
  const struct wr_chain_link *link = wr_bind_guard_note(t, entry, WR_STR("admitted"));
  if (wr_guard_holds(entry)) {
    wr_scope_push_ticket(t, id, attempt_timeout_of(entry));
    wr_scope_enter_layer(t, link);
    return;
  }
  wr_guard_leave(t->script->env->guard, id, WR_OUTCOME_IGNORED, wr_loop_now(t->script->env->loop));
}

// What core.leave wants to know of the last admission.
static int push_admission(lua_State *L, const struct wr_task *t, const struct wr_entry *entry)
{
  if (wr_guard_holds(entry)) {
    lua_pushinteger(L, (lua_Integer)wr_scope_mark(t) - 1);
  } else {
    lua_pushboolean(L, 1);
  }
  return 1;
}

// A place in a queue.
static void cancel_wait(struct wr_op *op)
{
  struct wr_task *t = op->task;
  struct wr_script_env *env = t->script->env;
  wr_list_remove(&t->waiting);
  wr_guard_cancel_wait(env->guard, t->wait_id, wr_loop_now(env->loop));
}

static void expire_wait(struct wr_op *op)
{
  struct wr_task *t = op->task;
  cancel_wait(op);
  wr_bind_guard_granted(t, false);
}

uint64_t wr_bind_guard_wait(const struct wr_task *t)
{
  uint64_t now = wr_loop_now(t->script->env->loop);
  return t->wait_ask.until_ns > now ? t->wait_ask.until_ns - now : 1;
}

static void queue_up(struct wr_task *t, struct wr_entry *entry, const struct wr_guard_ask *ask)
{
  t->wait_id = ask->id;
  t->wait_ask = *ask;
  t->wait_entry = entry;
  wr_list_push(&t->script->waiting, &t->waiting);
  t->wait =
      (struct wr_op){.name = "queue", .task = t, .cancel = cancel_wait, .expire = expire_wait};
}

uint64_t wr_bind_guard_key(lua_State *L, int index)
{
  if (lua_isnoneornil(L, index)) return 0;
  const struct wr_script_env *env = wr_script_of(L)->env;
  return wr_hash_sip(&env->arena->header->hash_key, wr_bind_str(L, index));
}

struct wr_guard_ask wr_bind_guard_ask(struct wr_task *t, const char *policy,
                                      const struct wr_bind_label *label)
{
  t->wait_policy = policy;
  t->wait_label = label;
  t->wait_since_ns = wr_loop_now(t->script->env->loop);
  return (struct wr_guard_ask){.until_ns = t->deadline_ns,
                               .priority = t->priority,
                               .cost = 1,
                               .signals = &t->script->env->signals};
}

enum wr_guard_admission wr_bind_guard_try(lua_State *L, struct wr_task *t, struct wr_entry *entry,
                                          struct wr_guard_ask *ask)
{
  struct wr_script_env *env = t->script->env;
  struct wr_error refusal;
  enum wr_guard_admission entered =
      wr_guard_enter(env->guard, entry, ask, wr_loop_now(env->loop), &refusal);
  switch (entered) {
  case WR_GUARD_ADMITTED: admit(t, entry, ask->id); break;
  case WR_GUARD_REFUSED: wr_bind_guard_refuse(L, t, entry, t->wait_policy, &refusal); break;
  case WR_GUARD_QUEUED: queue_up(t, entry, ask); break;
  }
  return entered;
}

int wr_bind_guard_enter(lua_State *L, struct wr_task *t, struct wr_entry *entry,
                        struct wr_guard_ask *ask)
{
  switch (wr_bind_guard_try(L, t, entry, ask)) {
  case WR_GUARD_ADMITTED: return push_admission(L, t, entry);
  case WR_GUARD_REFUSED: return 2;
  case WR_GUARD_QUEUED: break;
  }
  return wr_task_suspend(L, &t->wait, wr_bind_guard_wait(t));
}

// core.enter(handle, key | nil, cost | nil, policy | nil) -> depth, for core.leave | nil, err;
// waits in the queue when the primitive has one. `policy` is whose layer asks, for refusals
static int l_enter(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a policy");
  struct wr_guard_ask ask = wr_bind_guard_ask(t, luaL_optstring(L, 4, NULL), NULL);
  ask.key = wr_bind_guard_key(L, 2);
  ask.cost = (uint32_t)luaL_optinteger(L, 3, 1);
  return wr_bind_guard_enter(L, t, check_entry(L, 1), &ask);
}

// core.cache_claim(handle, key) -> depth, for core.leave: nobody else fetches that key, fill the
// cache | false: another call did, look again | nil, err. Waits for that other call.
static int l_cache_claim(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a claim");
  struct wr_guard_ask ask = wr_bind_guard_ask(t, NULL, NULL);
  luaL_checkstring(L, 2);
  ask.key = wr_bind_guard_key(L, 2);
  return wr_bind_guard_enter(L, t, check_entry(L, 1), &ask);
}

static void observe_wait(struct wr_script_env *env, const struct wr_entry *entry, uint64_t waited)
{
  if (entry->kind == WR_KIND_CACHE) return;
  enum wr_metric metric = WR_METRIC_BULKHEAD_WAIT;
  if (entry->kind == WR_KIND_SHEDDER) metric = WR_METRIC_SHEDDER_WAIT;
  if (entry->kind == WR_KIND_LIMITER) metric = WR_METRIC_LIMITER_WAIT;
  wr_meter_observe(env->meter, metric, (double)waited / 1e9, "name", entry->name, NULL);
}

void wr_bind_guard_granted(struct wr_task *t, bool granted)
{
  struct wr_script_env *env = t->script->env;
  uint64_t waited = wr_loop_now(env->loop) - t->wait_since_ns;
  wr_list_remove(&t->waiting);
  if (t->trail) t->trail->queue_ns += waited;
  observe_wait(env, t->wait_entry, waited);
  if (granted) {
    admit(t, t->wait_entry, t->wait_id);
    if (t->plan != NULL) {
      wr_bind_plan_on_admitted(t);
    } else {
      wr_task_resume(t, push_admission(t->co, t, t->wait_entry));
    }
    return;
  }
  if (t->wait_entry->kind == WR_KIND_CACHE) { // whom it waited for is done
    lua_pushboolean(t->co, 0);
    wr_task_resume(t, 1);
    return;
  }
  struct wr_error refusal;
  wr_guard_explain_wait(t->wait_entry, &refusal);
  wr_guard_explain_after(env->guard, t->wait_entry, &t->wait_ask, wr_loop_now(env->loop), &refusal);
  wr_task_resume(t, wr_bind_guard_refuse(t->co, t, t->wait_entry, t->wait_policy, &refusal));
}

// --- leaving ------------------------------------------------------------------------------------

// What a call's results say: `index` is a value, index + 1 its error.
static enum wr_outcome read_outcome(lua_State *L, int index, const struct wr_scope *scope,
                                    uint64_t now_ns)
{
  uint64_t elapsed = now_ns - scope->started_ns;
  struct wr_error error;
  if (lua_isnil(L, index) && wr_bind_error_read(L, index + 1, &error)) {
    return wr_ticket_outcome(error.kind, 0, elapsed, scope->attempt_timeout_ns);
  }
  struct wr_response *r = wr_bind_response_get(L, index);
  if (r == NULL) return WR_OUTCOME_SUCCESS;
  return wr_ticket_outcome(WR_ERROR_NONE, r->status, elapsed, scope->attempt_timeout_ns);
}

void wr_bind_guard_settle(lua_State *L, struct wr_task *t, const struct wr_scope *scope, int index)
{
  struct wr_script_env *env = t->script->env;
  uint64_t now = wr_loop_now(env->loop);
  wr_scope_leave_layer(t, scope);
  enum wr_outcome outcome = read_outcome(L, index, scope, now);
  struct wr_response *r = wr_bind_response_get(L, index);
  if (r && wr_response_hang_ticket(r, scope->ticket, outcome)) {
    wr_guard_answered(env->guard, scope->ticket, now);
  } else {
    wr_guard_leave(env->guard, scope->ticket, outcome, now);
  }
}

// core.leave(depth, value, err): closes what was entered at `depth`.
static int l_leave(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "leaving a policy layer");
  size_t depth = (size_t)luaL_checkinteger(L, 1);
  lua_settop(L, 3);
  if (depth >= t->scope_count) return 0;
  wr_scope_unwind(t, depth + 1);
  struct wr_scope scope = t->scopes[depth];
  if (scope.kind != WR_SCOPE_TICKET) {
    wr_scope_unwind(t, depth);
    return 0;
  }
  t->scope_count = depth;
  wr_bind_guard_settle(L, t, &scope, 2);
  return 0;
}

static const luaL_Reg functions[] = {
    {"breaker", l_breaker}, {"bulkhead", l_bulkhead}, {"budget", l_budget},
    {"enter", l_enter},     {"leave", l_leave},       {"cache_claim", l_cache_claim},
    {NULL, NULL},
};

int wr_bind_guard(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
