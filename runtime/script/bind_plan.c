#include "script/bind_plan.h"

#include "base/check.h"
#include "base/duration.h"
#include "script/bind.h"
#include "script/bind_error.h"
#include "script/bind_guard.h"
#include "script/bind_retry.h"
#include "script/meter.h"
#include "script/table.h"
#include "script/trace.h"
#include "script/trail.h"

#include <lauxlib.h>

// A policy's layers in C: what its Lua would otherwise do with a closure and two calls for each.

static const char TYPE[] = "weir.Plan";

enum step_kind { STEP_DEADLINE, STEP_TIMEOUT, STEP_TICKET, STEP_RETRY };

struct step {
  enum step_kind kind;
  uint64_t limit_ns;          // DEADLINE, TIMEOUT
  struct wr_entry *entry;     // TICKET: the generation holds it
  struct wr_bind_label label; // TICKET
  void *retry;                // RETRY: the plan's environment holds it
};

struct wr_plan {
  struct wr_bind_handle handle;
  const char *policy; // whose layers these are: refusals say so
  size_t count;
  struct step steps[];
};

static struct wr_plan *check_plan(lua_State *L)
{
  return wr_bind_type_check(L, 1, TYPE);
}

// --- making -------------------------------------------------------------------------------------

static struct wr_bind_label label_of(lua_State *L, const struct wr_entry *entry, const char *policy)
{
  struct wr_meter *meter = wr_script_of(L)->env->meter;
  return (struct wr_bind_label){
      .kind = wr_str_of(wr_registry_kind_name(entry->kind)),
      .name = wr_str_of(wr_meter_word(meter, wr_str_of(entry->name))),
      .policy = wr_str_of(policy),
  };
}

// { limit = ns, is_timeout = bool } | { handle = entry } | { retry = retry }
static struct step read_step(lua_State *L, int index, const char *policy)
{
  struct step step = {.kind = STEP_TICKET};
  lua_getfield(L, index, "handle");
  step.entry = lua_touserdata(L, -1);
  if (step.entry != NULL) step.label = label_of(L, step.entry, policy);
  lua_getfield(L, index, "retry");
  step.retry = lua_touserdata(L, -1);
  lua_pop(L, 2);
  if (step.retry != NULL) step.kind = STEP_RETRY;
  step.limit_ns = wr_table_u64(L, index, "limit", 0);
  if (step.limit_ns > 0) {
    step.kind = wr_table_bool(L, index, "is_timeout", false) ? STEP_TIMEOUT : STEP_DEADLINE;
  }
  return step;
}

// core.plan(policy, steps) -> plan
static int l_plan(lua_State *L)
{
  struct wr_str policy = wr_bind_str(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t count = lua_objlen(L, 2);
  struct wr_plan *plan = wr_bind_type_push(L, TYPE, sizeof(*plan) + count * sizeof(plan->steps[0]));
  plan->policy = wr_meter_word(wr_script_of(L)->env->meter, policy);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (int)i + 1);
    plan->steps[i] = read_step(L, lua_gettop(L), plan->policy);
    lua_pop(L, 1);
  }
  plan->count = count;
  lua_pushvalue(L, 2);
  lua_setfenv(L, -2); // which keeps what the steps point at
  return 1;
}

// --- entering -----------------------------------------------------------------------------------

// Frames of time and retries decide nothing here, so only a trace that is taken tells of them.
static void tell_frame(struct wr_task *t, const struct wr_plan *plan, struct wr_str kind,
                       uint64_t limit_ns)
{
  if (t->trail == NULL || t->trail->trace == NULL || !wr_trace_is_sampled(t->trail->trace)) return;
  struct wr_chain_link *link = wr_task_note(t, WR_DECISION_LAYER, wr_str_of(plan->policy));
  if (link == NULL) return;
  char limit[WR_DURATION_TEXT];
  link->kind = kind;
  link->policy = link->name;
  link->result = WR_STR("entered");
  if (limit_ns > 0) {
    const char *text = wr_duration_text(limit_ns, limit);
    link->detail = wr_chain_text(&t->trail->chain, wr_str_of(text));
  }
  wr_scope_enter_layer(t, link);
}

static void enter_frame(struct wr_task *t, const struct wr_plan *plan, const struct step *step)
{
  bool is_timeout = step->kind == STEP_TIMEOUT;
  wr_scope_push_deadline(t, step->limit_ns, is_timeout ? WR_ERROR_TIMEOUT : WR_ERROR_DEADLINE);
  tell_frame(t, plan, is_timeout ? WR_STR("timeout") : WR_STR("deadline"), step->limit_ns);
}

static void enter_retry(struct wr_task *t, const struct wr_plan *plan, const struct step *step)
{
  wr_bind_retry_enter(t, step->retry);
  tell_frame(t, plan, WR_STR("retry"), 0);
}

// Opens what is left of the plan. The number of results that are on the stack of `L`, or 0 when the
// task waits in a queue (t->wait is set up).
static int go_on(lua_State *L, struct wr_task *t)
{
  const struct wr_plan *plan = t->plan;
  while (t->plan_at < plan->count) {
    const struct step *step = &plan->steps[t->plan_at++];
    struct wr_guard_ask ask;
    switch (step->kind) {
    case STEP_DEADLINE:
    case STEP_TIMEOUT: enter_frame(t, plan, step); break;
    case STEP_RETRY: enter_retry(t, plan, step); break;
    case STEP_TICKET:
      ask = wr_bind_guard_ask(t, plan->policy, &step->label);
      switch (wr_bind_guard_try(L, t, step->entry, &ask)) {
      case WR_GUARD_ADMITTED: break;
      case WR_GUARD_QUEUED: return 0;
      case WR_GUARD_REFUSED: t->plan = NULL; return 2;
      }
    }
  }
  t->plan = NULL;
  lua_pushinteger(L, (lua_Integer)t->plan_base);
  lua_pushinteger(L, (lua_Integer)wr_scope_mark(t));
  return 2;
}

void wr_bind_plan_on_admitted(struct wr_task *t)
{
  int results = go_on(t->co, t);
  if (results > 0) {
    wr_task_resume(t, results);
  } else {
    wr_task_wait_on(t, wr_bind_guard_wait(t));
  }
}

// core.plan_enter(plan) -> base, top for core.plan_leave | nil, err, after which core.plan_quit
static int l_plan_enter(lua_State *L)
{
  const struct wr_plan *plan = check_plan(L);
  struct wr_task *t = wr_task_require(L, "a policy");
  t->plan = plan;
  t->plan_at = 0;
  t->plan_base = wr_scope_mark(t);
  int results = go_on(L, t);
  return results > 0 ? results : wr_task_suspend(L, &t->wait, wr_bind_guard_wait(t));
}

// --- leaving ------------------------------------------------------------------------------------

static void leave(lua_State *L, struct wr_task *t, size_t base, int index)
{
  while (t->scope_count > base) {
    struct wr_scope scope = t->scopes[t->scope_count - 1];
    if (scope.kind != WR_SCOPE_TICKET) {
      wr_scope_unwind(t, t->scope_count - 1);
      continue;
    }
    t->scope_count--;
    wr_bind_guard_settle(L, t, &scope, index);
  }
}

// core.plan_leave(base, top, value, err): closes what was opened, from the inside out.
static int l_plan_leave(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "leaving a policy's layers");
  size_t base = (size_t)luaL_checkinteger(L, 1);
  wr_scope_unwind(t, (size_t)luaL_checkinteger(L, 2));
  lua_settop(L, 4);
  leave(L, t, base, 3);
  return 0;
}

// core.plan_quit(nil, err): closes what was opened before the layer that refused, or the queue in
// which time ran out.
static int l_plan_quit(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "leaving a policy's layers");
  lua_settop(L, 2);
  t->plan = NULL;
  leave(L, t, t->plan_base, 1);
  return 0;
}

static const luaL_Reg functions[] = {
    {"plan", l_plan},
    {"plan_enter", l_plan_enter},
    {"plan_leave", l_plan_leave},
    {"plan_quit", l_plan_quit},
    {NULL, NULL},
};

int wr_bind_plan(lua_State *L)
{
  luaL_register(L, NULL, functions);
  wr_bind_type_new(L, TYPE);
  return 0;
}
