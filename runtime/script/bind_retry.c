#include "script/bind.h"

#include "resilience/retry_after.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/bind_retry.h"
#include "script/meter.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>

static const char TYPE[] = "weir.Retry";

struct retry {
  struct wr_bind_handle handle;
  struct wr_retry_config config;
  struct wr_entry *budget; // NULL: none
  const char *name;        // a word of the meter
  bool has_told;           // that it was inside another one
};

static struct retry *check_retry(lua_State *L)
{
  return wr_bind_type_check(L, 1, TYPE);
}

const char *wr_bind_retry_on(lua_State *L, struct wr_retry_on *on)
{
  lua_getfield(L, 2, "on");
  if (!lua_istable(L, -1)) return NULL;
  *on = (struct wr_retry_on){0};
  for (int i = 1; i <= (int)lua_objlen(L, -1); i++) {
    lua_rawgeti(L, -1, i);
    if (lua_type(L, -1) == LUA_TNUMBER) {
      lua_Integer status = lua_tointeger(L, -1);
      if (status < 100 || status > 599) return "a status in `on` is between 100 and 599";
      wr_retry_on_status(on, (int)status, true);
    } else {
      const char *name = lua_tostring(L, -1);
      enum wr_error_kind kind = name ? wr_error_find(name) : WR_ERROR_NONE;
      if (kind == WR_ERROR_NONE) return "`on` holds error kinds and statuses only";
      on->kinds |= 1u << kind;
    }
    lua_pop(L, 1);
  }
  return NULL;
}

static bool find_jitter(const char *name, uint8_t *out)
{
  static const char *const names[] = {"none", "full", "equal", "decorrelated", "ratio", "smooth"};
  for (size_t i = 0; i < WR_COUNT(names); i++) {
    if (strcmp(names[i], name) != 0) continue;
    *out = (uint8_t)i;
    return true;
  }
  return false;
}

// core.retry(name, options, budget | nil) -> handle | nil, message
static int l_retry(lua_State *L)
{
  struct wr_retry_config config;
  memset(&config, 0, sizeof(config));
  wr_retry_config_init(&config);
  config.max = wr_table_u32(L, 2, "max", config.max);
  config.min_attempt_ns = wr_table_u64(L, 2, "min_attempt", config.min_attempt_ns);
  config.backoff.base_ns = wr_table_u64(L, 2, "base", config.backoff.base_ns);
  config.backoff.cap_ns = wr_table_u64(L, 2, "cap", config.backoff.cap_ns);
  config.backoff.factor = wr_table_num(L, 2, "factor", config.backoff.factor);
  config.backoff.ratio = wr_table_num(L, 2, "ratio", config.backoff.ratio);
  const char *jitter = wr_table_text(L, 2, "jitter", "full");
  if (!find_jitter(jitter, &config.backoff.jitter)) return wr_bind_refuse(L, "no such jitter");
  const char *problem = wr_bind_retry_on(L, &config.on);
  if (problem == NULL) problem = wr_retry_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  struct retry *retry = wr_bind_type_push(L, TYPE, sizeof(*retry));
  retry->config = config;
  retry->budget = lua_islightuserdata(L, 3) ? lua_touserdata(L, 3) : NULL;
  retry->name = wr_meter_word(wr_script_of(L)->env->meter, wr_str_of(luaL_checkstring(L, 1)));
  return 1;
}

// The retries around what `t` does, in this task and in those it is a child of: the outermost in
// `*outer`, and how many attempts they may make of one call together.
static double amplification(const struct wr_task *t, const struct retry **outer)
{
  double product = 1;
  for (; t != NULL; t = t->parent) {
    for (size_t i = t->scope_count; i-- > 0;) {
      if (t->scopes[i].kind != WR_SCOPE_RETRY) continue;
      *outer = t->scopes[i].retry;
      product *= (double)(*outer)->config.max + 1;
    }
  }
  return product;
}

// Retries that multiply: found while they do, wherever the one calls the other. Said once.
static void warn_of_nesting(struct wr_task *t, struct retry *retry)
{
  if (retry->has_told || retry->config.max == 0) return;
  const struct retry *outer = NULL;
  double around = amplification(t, &outer);
  if (outer == NULL || around < 2) return;
  retry->has_told = true;
  struct wr_json *j = wr_log_begin(t->script->env->log, WR_LOG_WARN, "policy.warning");
  if (j == NULL) return;
  wr_json_field_cstr(j, "message", "retries inside retries: their attempts multiply");
  wr_json_field_cstr(j, "id", "nested-retries");
  wr_json_field_cstr(j, "policy", retry->name);
  wr_json_field_cstr(j, "outer", outer->name);
  wr_json_field_num(j, "attempts", around * ((double)retry->config.max + 1));
  wr_log_end(t->script->env->log);
}

void wr_bind_retry_enter(struct wr_task *t, void *handle)
{
  struct retry *retry = handle;
  struct wr_script_env *env = t->script->env;
  warn_of_nesting(t, retry);
  if (retry->budget) {
    wr_guard_budget_deposit(env->guard, retry->budget, wr_loop_now(env->loop));
  }
  wr_scope_push_retry(t, retry);
}

bool wr_bind_retry_read(lua_State *L, int index, struct wr_retry_input *input)
{
  struct wr_error error;
  struct wr_response *r = wr_bind_response_get(L, index);
  if (r != NULL) {
    if (r->status < 400) return false;
    input->status = r->status;
    input->retryable = r->is_idempotent;
    struct wr_str after = wr_headers_get(&r->headers, WR_STR("Retry-After"));
    uint64_t after_ns = 0;
    int64_t wall = (int64_t)(wr_loop_wall() / WR_SECOND);
    if (after.ptr && wr_retry_after_parse(after, wall, &after_ns)) input->after_ns = after_ns;
    return true;
  }
  if (!lua_isnil(L, index) || !wr_bind_error_read(L, index + 1, &error)) return false;
  input->kind = error.kind;
  input->retryable = error.retryable;
  input->after_ns = error.after_ns;
  return true;
}

static struct wr_backoff *push_backoff(lua_State *L, int index)
{
  struct wr_backoff *backoff = lua_touserdata(L, index);
  if (backoff != NULL) {
    lua_pushvalue(L, index);
    return backoff;
  }
  backoff = lua_newuserdata(L, sizeof(*backoff));
  memset(backoff, 0, sizeof(*backoff));
  return backoff;
}

// The budget is shared: the pure decision is taken without it, then the shared one is asked.
static struct wr_retry_decision decide(struct wr_task *t, struct retry *retry,
                                       const struct wr_retry_input *input,
                                       struct wr_backoff *backoff)
{
  struct wr_script_env *env = t->script->env;
  struct wr_retry_decision d = wr_retry_decide(&retry->config, input, backoff, NULL, env->rng);
  if (d.retry && retry->budget &&
      !wr_guard_budget_withdraw(env->guard, retry->budget, input->now_ns)) {
    d.retry = false;
    d.reason = WR_RETRY_BUDGET_EXHAUSTED;
  }
  return d;
}

static void count(struct wr_script_env *env, const struct retry *retry, uint32_t attempt,
                  bool failed)
{
  const char *kind = failed ? (attempt > 1 ? "failed_with_retry" : "failed_without_retry")
                            : (attempt > 1 ? "successful_with_retry" : "successful_without_retry");
  static const char *const labels[] = {"name", "kind"};
  wr_meter_count(env->meter, WR_METRIC_RETRY_CALLS, labels, retry->name, kind);
}

static void note_decision(struct wr_task *t, const struct retry *retry,
                          const struct wr_retry_decision *d)
{
  struct wr_chain_link *link = wr_task_note(t, WR_DECISION_RETRY, wr_str_of(retry->name));
  if (link == NULL) return;
  link->result = wr_str_of(wr_retry_reason_name((enum wr_retry_reason)d->reason));
  link->delay_ns = d->retry ? d->delay_ns : 0;
}

// core.retry_decide(handle, attempt, backoff | nil, value, err) -> delay_ns, backoff | nothing
static int l_retry_decide(lua_State *L)
{
  struct retry *retry = check_retry(L);
  struct wr_task *t = wr_task_require(L, "a retry");
  struct wr_script_env *env = t->script->env;
  lua_settop(L, 5);
  struct wr_retry_input input = {.attempt = (uint32_t)luaL_checkinteger(L, 2),
                                 .now_ns = wr_loop_now(env->loop),
                                 .deadline_at_ns = t->deadline_ns};
  bool failed = wr_bind_retry_read(L, 4, &input);
  if (!failed || !wr_retry_on_has(&retry->config.on, input.kind, input.status)) {
    count(env, retry, input.attempt, failed);
    return 0;
  }
  struct wr_backoff *backoff = push_backoff(L, 3);
  struct wr_retry_decision d = decide(t, retry, &input, backoff);
  wr_meter_add(env->meter, WR_METRIC_RETRY_ATTEMPTS, 1, "name", retry->name, "reason",
               wr_retry_reason_name((enum wr_retry_reason)d.reason), NULL);
  note_decision(t, retry, &d);
  if (!d.retry) {
    count(env, retry, input.attempt, true);
    return 0;
  }
  struct wr_response *r = wr_bind_response_get(L, 4);
  if (r) wr_response_cancel(r);
  if (t->trail) t->trail->retries++;
  lua_pushnumber(L, (double)d.delay_ns);
  lua_insert(L, -2);
  return 2;
}

static const luaL_Reg functions[] = {
    {"retry", l_retry},
    {"retry_decide", l_retry_decide},
    {NULL, NULL},
};

int wr_bind_retry(lua_State *L)
{
  luaL_register(L, NULL, functions);
  wr_bind_type_new(L, TYPE);
  return 0;
}
