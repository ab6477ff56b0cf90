// A hedged call: the attempts are child tasks, their parent waits for the first that is acceptable.

#include "script/bind.h"

#include "base/alloc.h"
#include "script/bind_declare.h"
#include "script/bind_error.h"
#include "script/bind_response.h"
#include "script/bind_retry.h"
#include "script/guard_hedge.h"
#include "script/handler.h"
#include "script/table.h"
#include "script/task.h"
#include "script/trail.h"

#include <lauxlib.h>

static const char TYPE[] = "weir.Hedge";

// A layer of one generation.
struct hedge {
  struct wr_entry *entry;
  struct wr_entry *budget; // extra attempts are paid from it; NULL: none
  bool deposits;           // no retry layer counts the calls for the budget: this one does
  uint32_t max;
  struct wr_retry_on on; // results that are not acceptable
};

static struct hedge *check_hedge(lua_State *L)
{
  return luaL_checkudata(L, 1, TYPE);
}

// core.hedge(name, options) -> entry | nil, message. Times in ns, ratios 0..1.
static int l_hedge(lua_State *L)
{
  struct wr_hedge_config config;
  memset(&config, 0, sizeof(config));
  wr_hedge_config_init(&config);
  config.delay_ns = wr_table_u64(L, 2, "delay", 0);
  config.percentile = wr_table_num(L, 2, "percentile", 0);
  config.max_extra_load = wr_table_num(L, 2, "max_extra_load", 0);
  config.min_delay_ns = wr_table_u64(L, 2, "min_delay", config.min_delay_ns);
  config.window_ns = wr_table_u64(L, 2, "window", config.window_ns);
  config.min_calls = wr_table_u32(L, 2, "min_calls", config.min_calls);
  config.max = wr_table_u32(L, 2, "max", config.max);
  const char *problem = wr_hedge_config_check(&config);
  if (problem) return wr_bind_refuse(L, problem);
  return wr_bind_declare_entry(L, WR_KIND_HEDGE, &config, sizeof(config));
}

// core.hedge_layer(entry, options, budget | nil, deposits) -> handle | nil, message
static int l_hedge_layer(lua_State *L)
{
  struct wr_retry_config usual;
  wr_retry_config_init(&usual);
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  struct hedge made = {.entry = lua_touserdata(L, 1), .on = usual.on};
  const char *problem = wr_bind_retry_on(L, &made.on);
  if (problem) return wr_bind_refuse(L, problem);
  made.max = wr_table_u32(L, 2, "max", 1);
  made.budget = lua_islightuserdata(L, 3) ? lua_touserdata(L, 3) : NULL;
  made.deposits = lua_toboolean(L, 4);
  struct hedge *hedge = lua_newuserdata(L, sizeof(*hedge));
  *hedge = made;
  luaL_getmetatable(L, TYPE);
  lua_setmetatable(L, -2);
  return 1;
}

// --- one call -----------------------------------------------------------------------------------

// Freed when its last attempt is gone.
struct call {
  struct wr_op op; // the parent's
  struct wr_script *script;
  struct hedge *hedge;      // the parent's stack holds it
  int run_ref, fn_ref;      // each attempt is run(fn)
  int value_ref, error_ref; // what the first attempt returned, once it has failed
  struct wr_attempts attempts;
  uint64_t delay_ns;
  uint64_t started_ns;
  uint64_t took_ns; // the first attempt; 0 while it runs
  uint32_t started; // attempts
  uint32_t running;
  uint32_t busy; // ends of attempts that are being handled
  bool is_over;  // the parent was told, or is no longer there
};

// One attempt; number 0 is the first.
struct attempt {
  struct call *call;
  uint32_t number;
};

static uint64_t now_of(const struct call *c)
{
  return wr_loop_now(c->script->env->loop);
}

static void release(struct call *c)
{
  if (c->running > 0 || c->busy > 0 || !c->is_over) return;
  lua_State *L = c->script->vm.L;
  luaL_unref(L, LUA_REGISTRYINDEX, c->run_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, c->fn_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, c->value_ref);
  luaL_unref(L, LUA_REGISTRYINDEX, c->error_ref);
  wr_free(c);
}

static void cancel_attempts(struct call *c)
{
  struct wr_list *children = &c->op.task->children; // a task that waits for these has no others
  c->is_over = true;
  c->busy++;
  while (!wr_list_is_empty(children)) {
    wr_task_cancel(WR_CONTAINER(children->next, struct wr_task, sibling));
  }
  c->busy--;
}

static void note(struct call *c, const char *result)
{
  const char *name = c->hedge->entry->name;
  struct wr_chain_link *link = wr_task_note_copy(c->op.task, WR_DECISION_HEDGE, name);
  if (link) link->result = wr_str_of(result);
}

static void report(struct call *c, enum wr_hedge_end end)
{
  uint64_t took_ns = c->took_ns > 0 ? c->took_ns : now_of(c) - c->started_ns;
  wr_guard_hedge_end(c->script->env->guard, c->hedge->entry, end, took_ns, now_of(c));
}

// --- attempts -----------------------------------------------------------------------------------

static void on_attempt_end(struct wr_task *t, enum wr_task_end end, int values);

static bool start_attempt(struct call *c, struct wr_task *parent, struct wr_error *error)
{
  lua_State *L = c->script->vm.L;
  luaL_checkstack(L, 2, "a hedged call");
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->run_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->fn_ref);
  struct wr_task *t = wr_task_new(c->script, L, 1, parent, error);
  if (t == NULL) return false;
  struct attempt *attempt = wr_alloc(sizeof(*attempt));
  *attempt = (struct attempt){c, c->started++};
  c->running++;
  t->attempts = &c->attempts;
  t->is_extra = t->is_extra || attempt->number > 0;
  t->ctx = attempt;
  t->on_end = on_attempt_end;
  wr_task_start(t);
  return true;
}

// False when there is no further attempt; the call goes on without.
static bool start_hedge(struct call *c, bool is_slow)
{
  struct wr_guard *guard = c->script->env->guard;
  struct hedge *h = c->hedge;
  struct wr_task *parent = c->op.task;
  struct wr_error error;
  if (c->started > h->max) return false;
  if (c->attempts.is_unsafe) {
    wr_guard_hedge_unsafe(guard, h->entry, now_of(c));
    return false;
  }
  if (!wr_guard_hedge_pay(guard, h->entry, h->budget, is_slow, now_of(c))) return false;
  if (!start_attempt(c, parent, &error)) return false;
  if (parent->trail) parent->trail->hedges++;
  note(c, is_slow ? "sent_slow" : "sent_failed");
  return true;
}

// --- the end ------------------------------------------------------------------------------------

// Tells the parent: `count` values lie on top of its coroutine.
static void finish(struct call *c, enum wr_hedge_end end, int count)
{
  struct wr_task *parent = c->op.task;
  report(c, end);
  cancel_attempts(c);
  if (parent->trail) parent->trail->is_hedge = end == WR_HEDGE_HEDGE;
  if (c->started > 1) note(c, wr_hedge_end_name(end));
  wr_task_resume(parent, count);
}

static void win(struct call *c, struct wr_task *t, uint32_t number)
{
  lua_State *to = c->op.task->co;
  lua_settop(t->co, 2);
  lua_xmove(t->co, to, 2);
  wr_task_hand_over(t, c->op.task); // what flows goes on without the attempt
  lua_rawgeti(to, LUA_REGISTRYINDEX, c->value_ref);
  struct wr_response *failed = wr_bind_response_get(to, -1);
  if (failed) wr_response_cancel(failed);
  lua_pop(to, 1);
  finish(c, number == 0 ? WR_HEDGE_PRIMARY : WR_HEDGE_HEDGE, 2);
}

static void keep_first(struct call *c, struct wr_task *t)
{
  c->took_ns = now_of(c) - c->started_ns;
  lua_settop(t->co, 2);
  wr_task_hand_over(t, c->op.task);
  c->error_ref = luaL_ref(t->co, LUA_REGISTRYINDEX);
  c->value_ref = luaL_ref(t->co, LUA_REGISTRYINDEX);
}

static void fail(struct call *c)
{
  lua_State *to = c->op.task->co;
  lua_rawgeti(to, LUA_REGISTRYINDEX, c->value_ref);
  lua_rawgeti(to, LUA_REGISTRYINDEX, c->error_ref);
  finish(c, WR_HEDGE_FAILED, 2);
}

// A script's mistake is no bad luck of one attempt: the library raises it in the caller.
static void pass_on_raise(struct call *c, struct wr_task *t)
{
  lua_State *to = c->op.task->co;
  struct wr_script_error raised = {0};
  char text[WR_SCRIPT_MESSAGE_MAX + WR_SCRIPT_FILE_MAX + 16];
  wr_handler_describe(t, &raised);
  wr_call_error_text(&raised, text, sizeof(text));
  lua_pushnil(to);
  lua_pushnil(to);
  lua_pushstring(to, text);
  finish(c, WR_HEDGE_FAILED, 3);
}

// An error does not win while another attempt may do better, whatever its kind.
static void on_returned(struct call *c, struct wr_task *t, uint32_t number)
{
  struct wr_retry_input result = {0};
  lua_settop(t->co, 2);
  bool failed = wr_bind_retry_read(t->co, 1, &result);
  bool is_in = failed && wr_retry_on_has(&c->hedge->on, result.kind, result.status);
  if (!failed || (result.kind == WR_ERROR_NONE && !is_in)) {
    win(c, t, number);
    return;
  }
  if (number == 0) keep_first(c, t);
  if (is_in && result.retryable && start_hedge(c, false)) return;
  if (c->running == 0) fail(c);
}

static void on_attempt_end(struct wr_task *t, enum wr_task_end end, int values)
{
  (void)values;
  struct attempt attempt = *(struct attempt *)t->ctx;
  struct call *c = attempt.call;
  wr_free(t->ctx);
  if (end == WR_TASK_RAISED) wr_handler_log_child(t);
  c->running--;
  c->busy++;
  if (!c->is_over && end == WR_TASK_RETURNED) on_returned(c, t, attempt.number);
  if (!c->is_over && end == WR_TASK_RAISED) pass_on_raise(c, t);
  c->busy--;
  release(c);
}

// --- the waiting parent -------------------------------------------------------------------------

static void cancel_call(struct wr_op *op)
{
  struct call *c = WR_CONTAINER(op, struct call, op);
  report(c, WR_HEDGE_CANCELLED);
  cancel_attempts(c);
  release(c);
}

static void on_delay(struct wr_op *op)
{
  struct call *c = WR_CONTAINER(op, struct call, op);
  // What was denied is not asked for again: the answer could only be late.
  if (start_hedge(c, true) && c->started <= c->hedge->max) wr_task_wait_on(op->task, c->delay_ns);
}

// The attempts have the same deadline, and know better what it means for what they hold.
static void on_deadline(struct wr_op *op, const struct wr_error *error)
{
  (void)op, (void)error;
}

static int take_ref(lua_State *L, int index)
{
  lua_pushvalue(L, index);
  return luaL_ref(L, LUA_REGISTRYINDEX);
}

static struct call *new_call(lua_State *L, struct wr_task *parent)
{
  struct call *c = wr_alloc(sizeof(*c));
  c->op = (struct wr_op){.name = "a hedged call",
                         .task = parent,
                         .cancel = cancel_call,
                         .expire = on_delay,
                         .fail = on_deadline};
  c->script = parent->script;
  c->hedge = check_hedge(L);
  c->run_ref = take_ref(L, 2);
  c->fn_ref = take_ref(L, 3);
  c->value_ref = LUA_NOREF;
  c->error_ref = LUA_NOREF;
  c->attempts.outer = parent->attempts;
  c->started_ns = now_of(c);
  return c;
}

// core.hedge_call(handle, run, fn) -> value, err of the attempt run(fn) that decided | nil, nil and
// what one of them raised
static int l_hedge_call(lua_State *L)
{
  struct wr_task *parent = wr_task_require(L, "a hedged call");
  struct hedge *h = check_hedge(L);
  struct wr_guard *guard = parent->script->env->guard;
  struct wr_error error;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  struct call *c = new_call(L, parent);
  if (!start_attempt(c, parent, &error)) {
    c->is_over = true;
    release(c);
    return wr_bind_error_fail(L, &error);
  }
  uint64_t delay_ns = wr_guard_hedge_begin(guard, h->entry, c->started_ns);
  if (h->budget && h->deposits) wr_guard_budget_deposit(guard, h->budget, c->started_ns);
  c->delay_ns = delay_ns == WR_HEDGE_NEVER ? 0 : delay_ns;
  return wr_task_suspend(L, &c->op, c->delay_ns);
}

static const luaL_Reg functions[] = {
    {"hedge", l_hedge}, {"hedge_layer", l_hedge_layer}, {"hedge_call", l_hedge_call}, {NULL, NULL}};

int wr_bind_hedge(lua_State *L)
{
  luaL_register(L, NULL, functions);
  luaL_newmetatable(L, TYPE);
  return 0;
}
