#include "script/bind.h"

#include "base/alloc.h"
#include "base/check.h"
#include "script/bind_error.h"
#include "script/bind_task.h"
#include "script/call.h"
#include "script/handler.h"
#include "script/task.h"
#include "script/vm.h"

#include <lauxlib.h>

// core.sleep(ns) -> true | nil, err
static int l_sleep(lua_State *L)
{
  double ns = luaL_checknumber(L, 1);
  return wr_task_sleep(L, (uint64_t)ns);
}

// core.now() -> seconds on the monotonic clock of the loop, the same value during one turn
static int l_now(lua_State *L)
{
  lua_pushnumber(L, (double)wr_loop_now(wr_script_of(L)->env->loop) / 1e9);
  return 1;
}

// core.time() -> seconds since 1970, for stamps
static int l_time(lua_State *L)
{
  lua_pushnumber(L, (double)wr_loop_wall() / 1e9);
  return 1;
}

// core.deadline_enter(ns, is_timeout) -> depth, for core.leave
static int l_deadline_enter(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a deadline");
  size_t depth = wr_scope_mark(t);
  enum wr_error_kind expiry = lua_toboolean(L, 2) ? WR_ERROR_TIMEOUT : WR_ERROR_DEADLINE;
  wr_scope_push_deadline(t, (uint64_t)luaL_checknumber(L, 1), expiry);
  lua_pushinteger(L, (lua_Integer)depth);
  return 1;
}

// core.remaining() -> ns left of the ambient deadline, or nil without one
static int l_remaining(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  uint64_t left = s->current ? wr_task_remaining(s->current) : UINT64_MAX;
  if (left == UINT64_MAX) return 0;
  lua_pushnumber(L, (double)left);
  return 1;
}

// --- background tasks ---------------------------------------------------------------------------

static void on_background_end(struct wr_task *t, enum wr_task_end end, int values)
{
  (void)values;
  struct wr_script *s = t->script;
  if (end == WR_TASK_RAISED) {
    struct wr_script_error raised = {0};
    wr_handler_describe(t, &raised);
    wr_handler_log(s, &raised, "weir.spawn", NULL);
  }
  if (--s->background == 0 && s->on_quiet) s->on_quiet(s->on_quiet_ctx);
}

struct wr_task *wr_bind_task_spawn(lua_State *L, int nargs, struct wr_error *error)
{
  struct wr_script *s = wr_script_of(L);
  struct wr_task *t = wr_task_new(s, L, nargs, NULL, error);
  if (t == NULL) return NULL;
  t->on_end = on_background_end;
  s->background++;
  if (s->current != NULL && s->current->trail == NULL) {
    wr_task_start_next(t); // a chain of them must let the loop turn
  } else {
    wr_task_start(t);
  }
  return t;
}

// core.spawn(fn, …): runs fn at the end of this turn as a task of its own, not bound to the
// caller's end.
static int l_spawn(lua_State *L)
{
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct wr_error error;
  if (wr_bind_task_spawn(L, lua_gettop(L) - 1, &error) == NULL) {
    return wr_bind_error_fail(L, &error);
  }
  lua_pushboolean(L, 1);
  return 1;
}

// --- race and all -------------------------------------------------------------------------------

enum { MEMBERS_MAX = 4096 }; // script_members: making so many takes a tenth of a burst

// A parent that waits for its children. Freed when the last of them is gone.
struct group {
  struct wr_op op;
  struct wr_script *script;
  int results_ref; // table: all: key -> value; race: the first failure under "error"
  size_t running;
  size_t busy; // calls of on_member_end under way
  bool is_race;
  bool is_over; // the parent was told, or is no longer there
};

struct member {
  struct group *group;
  int key_ref;
};

static void release_group(struct group *g)
{
  if (g->running > 0 || g->busy > 0 || !g->is_over) return;
  luaL_unref(g->script->vm.L, LUA_REGISTRYINDEX, g->results_ref);
  wr_free(g);
}

static void cancel_members(struct wr_task *parent)
{
  while (!wr_list_is_empty(&parent->children)) {
    wr_task_cancel(WR_CONTAINER(parent->children.next, struct wr_task, sibling));
  }
}

// The members end with the wait for them, if they have not ended with their parent already.
static void cancel_group(struct wr_op *op)
{
  struct group *g = WR_CONTAINER(op, struct group, op);
  g->is_over = true;
  g->busy++;
  cancel_members(op->task);
  g->busy--;
  release_group(g);
}

// Tells the parent: `count` values lie on top of its coroutine.
static void finish_group(struct group *g, int count)
{
  struct wr_task *parent = g->op.task;
  g->is_over = true;
  cancel_members(parent);
  wr_task_resume(parent, count);
}

// Leaves `nil, err` of a member on `to`: what it returned, or what it raised as a script error.
static void push_failure(struct wr_task *t, enum wr_task_end end, int values, lua_State *to)
{
  lua_pushnil(to);
  if (end == WR_TASK_RETURNED && values >= 2) {
    lua_pushvalue(t->co, 2);
    lua_xmove(t->co, to, 1);
    return;
  }
  struct wr_error error;
  struct wr_script_error raised = {0};
  if (end == WR_TASK_RAISED) wr_handler_describe(t, &raised);
  const char *text = end == WR_TASK_RAISED ? raised.message : "the task returned nothing";
  wr_error_set(&error, WR_ERROR_SCRIPT, "%s", text);
  wr_bind_error_push(to, &error);
}

static void store(struct group *g, struct wr_task *t, int key_ref)
{
  lua_State *L = t->co;
  lua_rawgeti(L, LUA_REGISTRYINDEX, g->results_ref);
  lua_rawgeti(L, LUA_REGISTRYINDEX, key_ref);
  lua_pushvalue(L, 1);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void on_all_member(struct group *g, struct wr_task *t, enum wr_task_end end, int values,
                          int key_ref)
{
  lua_State *parent = g->op.task->co;
  if (end == WR_TASK_RETURNED && values >= 1 && !lua_isnil(t->co, 1)) {
    store(g, t, key_ref);
    if (g->running > 0) return;
    lua_rawgeti(parent, LUA_REGISTRYINDEX, g->results_ref);
    finish_group(g, 1);
    return;
  }
  push_failure(t, end, values, parent);
  finish_group(g, 2);
}

static void on_race_member(struct group *g, struct wr_task *t, enum wr_task_end end, int values)
{
  lua_State *parent = g->op.task->co;
  if (end == WR_TASK_RETURNED && values >= 1 && !lua_isnil(t->co, 1)) {
    lua_pushvalue(t->co, 1);
    lua_xmove(t->co, parent, 1);
    finish_group(g, 1);
    return;
  }
  if (g->running > 0) return;
  push_failure(t, end, values, parent);
  finish_group(g, 2);
}

static void on_member_end(struct wr_task *t, enum wr_task_end end, int values)
{
  struct member *member = t->ctx;
  struct group *g = member->group;
  struct wr_task *parent = g->op.task;
  int key_ref = member->key_ref;
  wr_free(member);
  if (end == WR_TASK_RAISED) wr_handler_log_child(t);
  g->running--;
  g->busy++; // the siblings that lose end below, inside of this
  // A response that a child hands out must outlive the child.
  if (!g->is_over && end == WR_TASK_RETURNED) wr_task_hand_over(t, parent);
  if (!g->is_over && end != WR_TASK_CANCELLED) {
    if (g->is_race) {
      on_race_member(g, t, end, values);
    } else {
      on_all_member(g, t, end, values, key_ref);
    }
  }
  luaL_unref(g->script->vm.L, LUA_REGISTRYINDEX, key_ref);
  g->busy--;
  release_group(g);
}

// Makes a child of the function on top of the stack (popped) under the key below it (kept).
static bool add_member(lua_State *L, struct group *g, struct wr_task *parent,
                       struct wr_error *error)
{
  struct wr_task *child = wr_task_new(g->script, L, 0, parent, error);
  if (child == NULL) return false;
  struct member *member = wr_alloc(sizeof(*member));
  lua_pushvalue(L, -1);
  member->group = g;
  member->key_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  child->ctx = member;
  child->on_end = on_member_end;
  g->running++;
  wr_task_start(child);
  return true;
}

static int start_group(lua_State *L, const char *name, bool is_race)
{
  struct wr_task *parent = wr_task_require(L, name);
  luaL_checktype(L, 1, LUA_TTABLE);
  struct group *g = wr_alloc(sizeof(*g));
  *g = (struct group){
      .op = {.name = name, .cancel = cancel_group}, .script = parent->script, .is_race = is_race};
  lua_newtable(L);
  g->results_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  struct wr_error error = {0};
  bool ok = true;
  lua_pushnil(L);
  while (ok && lua_next(L, 1) != 0) {
    ok = lua_isfunction(L, -1) && g->running < MEMBERS_MAX;
    if (!ok) {
      wr_error_set(&error, WR_ERROR_SCRIPT, "%s takes a table of at most %d functions", name,
                   MEMBERS_MAX);
    } else if (wr_vm_is_stopping(&parent->script->vm)) {
      wr_error_set(&error, WR_ERROR_SCRIPT, "interrupted");
      ok = false;
    } else {
      ok = add_member(L, g, parent, &error);
    }
  }
  if (ok && g->running > 0) return wr_task_suspend(L, &g->op, 0);
  g->is_over = true;
  g->busy++;
  cancel_members(parent);
  g->busy--;
  release_group(g);
  if (!ok && error.kind == WR_ERROR_SCRIPT) return luaL_error(L, "%s", error.message);
  if (!ok) return wr_bind_error_fail(L, &error);
  return luaL_error(L, "%s needs at least one function", name);
}

// core.race{fn, …} -> the first result that is not nil | nil, err of the last failure
static int l_race(lua_State *L)
{
  return start_group(L, "weir.race", true);
}

// core.all{key = fn, …} -> {key = result} | nil, err of the first failure
static int l_all(lua_State *L)
{
  return start_group(L, "weir.all", false);
}

static const luaL_Reg functions[] = {
    {"sleep", l_sleep},
    {"now", l_now},
    {"time", l_time},
    {"deadline_enter", l_deadline_enter},
    {"remaining", l_remaining},
    {"spawn", l_spawn},
    {"race", l_race},
    {"all", l_all},
    {NULL, NULL},
};

int wr_bind_task(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
