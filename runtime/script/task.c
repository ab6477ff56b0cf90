#include "script/task.h"

#include "arena/slot.h"
#include "base/alloc.h"
#include "base/check.h"
#include "base/duration.h"
#include "resilience/deadline.h"
#include "script/bind_error.h"
#include "script/meter.h"
#include "script/response.h"
#include "script/trail.h"
#include "script/vm.h"
#include "script/watchdog.h"

#include <lauxlib.h>
#include <stdatomic.h>

enum {
  TASKS_MAX = 100000,    // live tasks of one generation in one worker
  IDLE_MAX = 256,        // finished coroutines kept for reuse
  TASK_NESTING_MAX = 64, // children of children: all may start, and all end, in one turn
};

static void finish(struct wr_task *t, enum wr_task_end end, int values);

// --- coroutines ---------------------------------------------------------------------------------

static struct wr_task *take_idle(struct wr_script *s)
{
  struct wr_list *node = wr_list_pop(&s->idle);
  if (node == NULL) return NULL;
  s->idle_count--;
  return WR_CONTAINER(node, struct wr_task, link);
}

static void on_timer(struct wr_timer *timer);
static void run(struct wr_deferred *d);

static struct wr_task *make_task(struct wr_script *s, lua_State *L)
{
  struct wr_task *t = wr_alloc(sizeof(*t));
  t->script = s;
  t->co = lua_newthread(L);
  t->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  wr_timer_init(&t->timer, s->env->loop, on_timer);
  wr_deferred_init(&t->runner, run);
  return t;
}

static void free_task(struct wr_task *t)
{
  luaL_unref(t->script->vm.L, LUA_REGISTRYINDEX, t->co_ref);
  wr_timer_stop(&t->timer);
  wr_free(t->scopes);
  wr_free(t);
}

// A coroutine that returned can run another function; one that raised or was cut off cannot.
static void recycle(struct wr_task *t, enum wr_task_end end)
{
  struct wr_script *s = t->script;
  if (end != WR_TASK_RETURNED || s->idle_count >= IDLE_MAX) {
    free_task(t);
    return;
  }
  lua_settop(t->co, 0);
  wr_list_push(&s->idle, &t->link);
  s->idle_count++;
}

void wr_task_free_idle(struct wr_script *s)
{
  struct wr_task *t;
  while ((t = take_idle(s)) != NULL) free_task(t);
}

static void inherit(struct wr_task *t, struct wr_task *parent)
{
  t->deadline_ns = parent ? parent->deadline_ns : UINT64_MAX;
  t->deadline_expiry = parent ? parent->deadline_expiry : WR_ERROR_DEADLINE;
  t->trail = parent ? parent->trail : NULL;
  t->attempts = parent ? parent->attempts : NULL;
  t->layer = parent ? parent->layer : WR_CHAIN_NONE;
  t->is_extra = parent && parent->is_extra;
  t->priority = parent ? parent->priority : WR_PRIORITY_NORMAL;
  t->parent = parent;
  t->nesting = parent ? parent->nesting + 1 : 0;
  wr_list_init(&t->sibling);
  if (parent) wr_list_push(&parent->children, &t->sibling);
}

static bool may_begin(const struct wr_script *s, const struct wr_task *parent,
                      struct wr_error *error)
{
  if (parent != NULL && parent->nesting >= TASK_NESTING_MAX) {
    wr_error_set(error, WR_ERROR_SCRIPT,
                 "tasks are nested deeper than %d levels (race, all, hedge)", TASK_NESTING_MAX);
    return false;
  }
  if (s->task_count >= TASKS_MAX) {
    wr_error_set(error, WR_ERROR_SHED, "no more than %d tasks may live at once", TASKS_MAX);
    return false;
  }
  return true;
}

struct wr_task *wr_task_new(struct wr_script *s, lua_State *L, int nargs, struct wr_task *parent,
                            struct wr_error *error)
{
  if (!may_begin(s, parent, error)) {
    lua_pop(L, nargs + 1);
    return NULL;
  }
  struct wr_task *t = take_idle(s);
  if (t == NULL) t = make_task(s, L);
  lua_xmove(L, t->co, nargs + 1);
  t->values = nargs;
  t->op = NULL;
  t->scope_count = 0;
  t->plan = NULL;
  t->is_next = false;
  t->is_running = false;
  t->is_cancelled = false;
  t->relief.verdict = WR_VM_RUNS;
  t->stop = WR_VM_RUNS;
  t->burst_ns = 0;
  t->on_end = NULL;
  t->ctx = NULL;
  wr_list_init(&t->children);
  wr_list_init(&t->responses);
  wr_list_init(&t->waiting);
  inherit(t, parent);
  wr_list_push(&s->tasks, &t->link);
  s->task_count++;
  return t;
}

// --- running ------------------------------------------------------------------------------------

static void count_stop(struct wr_task *t)
{
  struct wr_script_env *env = t->script->env;
  t->burst_ns = wr_watchdog_burst(env->watchdog);
  wr_meter_add(env->meter, WR_METRIC_LIMITS, 1, "limit", wr_vm_stop_limit(t->stop), NULL);
}

// Lets it run, on its request's account.
static int resume(struct wr_script *s, struct wr_task *t, size_t *grown)
{
  struct wr_watchdog *w = s->env->watchdog;
  struct wr_trail *trail = t->trail;
  wr_vm_enter(&s->vm, trail ? trail->grown : 0);
  if (t->relief.verdict != WR_VM_RUNS) {
    wr_vm_sentence(&s->vm, t->relief.verdict);
  } else if (trail && wr_watchdog_is_spent(w, trail->lua_cycles)) {
    wr_vm_interrupt(&s->vm, WR_VM_STOP_BUDGET);
  }
  s->vm.may_pause = true;
  wr_watchdog_enter(w, t);
  int rc = lua_resume(t->co, t->values);
  uint64_t cycles = wr_watchdog_leave(w);
  wr_turn_add(s->env, t, cycles);
  s->vm.may_pause = false;
  *grown = wr_vm_leave(&s->vm);
  if (trail == NULL) return rc;
  trail->lua_cycles += cycles;
  trail->grown = *grown;
  return rc;
}

// For the master, should this be the worker's last deed.
static void note_doing(struct wr_slot *slot, const struct wr_task *t)
{
  if (t->trail) {
    wr_slot_doing(slot, t->trail->request_id, wr_str_of(t->trail->route));
  } else {
    wr_slot_doing(slot, (struct wr_str){NULL, 0}, WR_STR("in the background"));
  }
}

static void run(struct wr_deferred *d)
{
  struct wr_task *t = WR_CONTAINER(d, struct wr_task, runner);
  struct wr_script *s = t->script;
  WR_CHECK(s->current == NULL);
  if (wr_turn_puts_off(s->env, t)) return;
  struct wr_slot *slot = wr_slot_of(s->env->arena, s->env->shard);
  note_doing(slot, t);
  s->current = t;
  t->is_running = true;
  atomic_store_explicit(&slot->script, s->generation, memory_order_relaxed);
  size_t grown;
  int rc = resume(s, t, &grown);
  atomic_store_explicit(&slot->script, 0, memory_order_relaxed);
  t->is_running = false;
  s->current = NULL;
  t->stop = wr_vm_take_stop(&s->vm, rc);
  if (t->stop != WR_VM_RUNS) count_stop(t);
  if (t->stop != WR_VM_RUNS && rc == LUA_YIELD && t->op == NULL) {
    // The hook took it off the processor.
    finish(t, WR_TASK_RAISED, 0);
  } else if (t->is_cancelled) {
    finish(t, WR_TASK_CANCELLED, 0);
  } else if (rc == LUA_YIELD) {
    // Policies have no coroutine library: only wr_task_suspend yields, and the hook.
    if (t->op == NULL) wr_relief_wait(t, grown);
  } else if (rc == 0) {
    finish(t, WR_TASK_RETURNED, lua_gettop(t->co));
  } else {
    finish(t, WR_TASK_RAISED, 1);
  }
}

void wr_task_start(struct wr_task *t)
{
  wr_loop_defer(t->script->env->loop, &t->runner);
}

static void start_late(struct wr_op *op)
{
  struct wr_task *t = op->task;
  t->op = NULL;
  wr_task_start(t);
}

static void stay_away(struct wr_op *op)
{
  (void)op; // it never ran
}

void wr_task_start_next(struct wr_task *t)
{
  t->sleep =
      (struct wr_op){.name = "its turn", .task = t, .cancel = stay_away, .expire = start_late};
  t->op = &t->sleep;
  t->op_limit_ns = 1;
  wr_timer_start(&t->timer, 0);
}

// The end of a task without children.
static void close_task(struct wr_task *t, enum wr_task_end end, int values)
{
  wr_timer_pause(&t->timer);
  wr_loop_undefer(&t->runner);
  wr_list_remove(&t->sibling);
  wr_list_remove(&t->link);
  t->script->task_count--;
  wr_scope_unwind(t, 0);
  if (t->on_end) t->on_end(t, end, values);
  wr_response_drop_all(t);
  recycle(t, end);
}

static void cancel_leaf(struct wr_task *t)
{
  WR_CHECK(!t->is_running);
  struct wr_op *op = t->op;
  t->op = NULL;
  if (op) op->cancel(op);
  close_task(t, WR_TASK_CANCELLED, 0);
}

// Leaves first, in a loop: tasks may be nested deeper than the C stack could follow.
static void cancel_children(struct wr_task *t)
{
  struct wr_task *at = t;
  for (;;) {
    while (!wr_list_is_empty(&at->children)) {
      at = WR_CONTAINER(at->children.next, struct wr_task, sibling);
    }
    if (at == t) return;
    struct wr_task *parent = at->parent;
    cancel_leaf(at);
    at = parent;
  }
}

static void finish(struct wr_task *t, enum wr_task_end end, int values)
{
  cancel_children(t);
  close_task(t, end, values);
}

void wr_task_cancel(struct wr_task *t)
{
  if (t->is_running) {
    t->is_cancelled = true;
    return;
  }
  cancel_children(t);
  cancel_leaf(t);
}

// --- waiting ------------------------------------------------------------------------------------

struct wr_task *wr_task_require(lua_State *L, const char *what)
{
  struct wr_script *s = wr_script_of(L);
  if (s->current == NULL || s->current->co != L) {
    luaL_error(L,
               "%s waits, and nothing can wait while scripts load: call it from a handler, "
               "weir.every or weir.spawn",
               what);
  }
  return s->current;
}

// Arms the timer for whatever comes first: the operation's own limit or the ambient deadline.
static void arm(struct wr_task *t, uint64_t limit_ns)
{
  uint64_t now = wr_loop_now(t->script->env->loop);
  uint64_t at = limit_ns == 0 || limit_ns > UINT64_MAX - now ? UINT64_MAX : now + limit_ns;
  t->op_limit_ns = limit_ns;
  if (t->deadline_ns <= at) {
    at = t->deadline_ns;
    t->op_limit_ns = 0;
  }
  if (at != UINT64_MAX) wr_timer_start_at(&t->timer, at);
}

int wr_task_suspend(lua_State *L, struct wr_op *op, uint64_t limit_ns)
{
  struct wr_task *t = wr_task_require(L, op->name);
  WR_CHECK(t->op == NULL);
  t->op = op;
  op->task = t;
  arm(t, limit_ns);
  return lua_yield(L, 0);
}

void wr_task_wait_on(struct wr_task *t, uint64_t limit_ns)
{
  WR_CHECK(t->op != NULL);
  arm(t, limit_ns);
}

static void sleep_cancel(struct wr_op *op)
{
  (void)op; // the task's own timer is all there was
}

static void sleep_over(struct wr_op *op)
{
  lua_pushboolean(op->task->co, 1);
  wr_task_resume(op->task, 1);
}

int wr_task_sleep(lua_State *L, uint64_t for_ns)
{
  struct wr_task *t = wr_task_require(L, "weir.sleep");
  t->sleep = (struct wr_op){.name = "sleep", .cancel = sleep_cancel, .expire = sleep_over};
  return wr_task_suspend(L, &t->sleep, for_ns ? for_ns : 1);
}

void wr_task_resume(struct wr_task *t, int nresults)
{
  WR_CHECK(t->op != NULL && !t->is_running);
  t->op = NULL;
  wr_timer_pause(&t->timer);
  t->values = nresults;
  wr_loop_defer(t->script->env->loop, &t->runner);
}

void wr_task_resume_error(struct wr_task *t, const struct wr_error *error)
{
  if (t->trail) wr_trail_error(t->trail, error);
  lua_pushnil(t->co);
  wr_bind_error_push(t->co, error);
  wr_task_resume(t, 2);
}

void wr_task_expired(const struct wr_task *t, struct wr_error *error)
{
  char limit[WR_DURATION_TEXT] = "";
  const char *what = t->op ? t->op->name : "work";
  if (t->op_limit_ns != 0) {
    wr_error_set(error, WR_ERROR_TIMEOUT, "%s took longer than its limit of %s", what,
                 wr_duration_text(t->op_limit_ns, limit));
  } else if (t->deadline_expiry == WR_ERROR_TIMEOUT) {
    wr_error_set(error, WR_ERROR_TIMEOUT, "the attempt's time limit passed during %s", what);
  } else {
    wr_error_set(error, t->deadline_expiry, "the deadline passed during %s", what);
  }
}

static void on_timer(struct wr_timer *timer)
{
  struct wr_task *t = WR_CONTAINER(timer, struct wr_task, timer);
  struct wr_op *op = t->op;
  WR_CHECK(op != NULL);
  if (t->op_limit_ns != 0 && op->expire) {
    op->expire(op);
    return;
  }
  struct wr_error error;
  wr_task_expired(t, &error);
  if (op->fail) {
    op->fail(op, &error);
    return;
  }
  op->cancel(op);
  wr_task_resume_error(t, &error);
}

uint64_t wr_task_remaining(const struct wr_task *t)
{
  return wr_deadline_left(t->deadline_ns, wr_loop_now(t->script->env->loop));
}

// --- the chain of decisions ---------------------------------------------------------------------

struct wr_chain_link *wr_task_note(struct wr_task *t, enum wr_decision what, struct wr_str name)
{
  if (t == NULL || t->trail == NULL) return NULL;
  uint64_t now_ns = wr_loop_now(t->script->env->loop);
  struct wr_chain_link *link = wr_chain_add(&t->trail->chain, what, name, now_ns);
  if (link) link->inside = t->layer;
  return link;
}

struct wr_chain_link *wr_task_note_copy(struct wr_task *t, enum wr_decision what, const char *name)
{
  struct wr_chain_link *link = wr_task_note(t, what, WR_STR(""));
  if (link) link->name = wr_chain_text(&t->trail->chain, wr_str_of(name));
  return link;
}

void wr_task_hand_over(struct wr_task *from, struct wr_task *to)
{
  struct wr_list *node;
  while ((node = wr_list_pop(&from->responses)) != NULL) wr_list_push(&to->responses, node);
}
