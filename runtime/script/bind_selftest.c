#include "script/bind.h"

#include "base/alloc.h"
#include "http/local.h"
#include "script/bind_error.h"
#include "script/rehearsal.h"
#include "script/task.h"
#include "upstream/upstream.h"

#include <lauxlib.h>

static struct wr_rehearsal *check_rehearsal(lua_State *L)
{
  struct wr_rehearsal *r = wr_script_of(L)->env->rehearsal;
  if (r == NULL) luaL_error(L, "it works in a selftest alone");
  return r;
}

// core.selftest(name, place, fn): kept where it may be run; fn returns a text when it has passed
static int l_selftest(lua_State *L)
{
  struct wr_script *s = wr_script_of(L);
  if (!s->is_loading) return luaL_error(L, "weir.selftest declares: call it at the top level");
  luaL_checktype(L, 3, LUA_TFUNCTION);
  if (!s->is_trial && s->env->rehearsal == NULL) return 0;
  struct wr_selftest_declared *d = wr_alloc(sizeof(*d));
  d->name = wr_strdup(luaL_checkstring(L, 1));
  d->place = wr_strdup(luaL_checkstring(L, 2));
  lua_pushvalue(L, 3);
  d->fn_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  wr_list_push(&s->declared.selftests, &d->link);
  return 0;
}

// An upstream whose endpoints are found at run time has none here: any will do.
static void give_endpoint(struct wr_upstream *u, uint64_t now_ns)
{
  static const struct wr_roster_wanted any = {.url = {"http://scripted.invalid", 23}, .weight = 1};
  struct wr_roster *r = wr_upstream_lock(u, now_ns);
  bool is_empty = r && wr_roster_outlier(r)->count == 0;
  if (r) wr_upstream_unlock(u);
  if (is_empty) wr_upstream_set(u, &any, 1, now_ns);
}

static struct wr_upstream *find_upstream(const struct wr_script *s, struct wr_str name)
{
  WR_LIST_EACH(&s->declared.upstreams, node) {
    struct wr_upstream *u = WR_CONTAINER(node, struct wr_upstream, link);
    if (wr_str_eq(wr_str_of(u->name), name)) return u;
  }
  return NULL;
}

// core.selftest_upstream(name, fn) -> true | nil when no upstream is called so; see
// wr_rehearsal_script
static int l_selftest_upstream(lua_State *L)
{
  struct wr_rehearsal *r = check_rehearsal(L);
  struct wr_script *s = wr_script_of(L);
  struct wr_str name = wr_bind_str(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct wr_upstream *u = find_upstream(s, name);
  if (u == NULL && memchr(name.ptr, '/', name.len) == NULL) return 0;
  if (u) give_endpoint(u, wr_loop_now(s->env->loop));
  lua_pushvalue(L, 2);
  wr_rehearsal_script(r, name, luaL_ref(L, LUA_REGISTRYINDEX));
  lua_pushboolean(L, 1);
  return 1;
}

// --- asking -------------------------------------------------------------------------------------

struct asking {
  struct wr_op op;
  struct wr_local *local;
};

static void push_fields(lua_State *L, const struct wr_headers *headers)
{
  lua_createtable(L, (int)headers->count * 2, 0);
  for (size_t i = 0; i < headers->count; i++) {
    const struct wr_header *field = &headers->items[i];
    lua_pushlstring(L, field->name.ptr, field->name.len);
    lua_rawseti(L, -2, (int)i * 2 + 1);
    lua_pushlstring(L, field->value.ptr ? field->value.ptr : "", field->value.len);
    lua_rawseti(L, -2, (int)i * 2 + 2);
  }
}

static void on_answer(void *ctx, const struct wr_local_answer *answer)
{
  struct asking *a = ctx;
  struct wr_task *t = a->op.task;
  wr_free(a);
  lua_pushinteger(t->co, answer->status);
  push_fields(t->co, answer->headers);
  lua_pushlstring(t->co, answer->body.ptr ? answer->body.ptr : "", answer->body.len);
  lua_pushboolean(t->co, answer->is_complete);
  wr_task_resume(t, 4);
}

static void cancel_asking(struct wr_op *op)
{
  struct asking *a = WR_CONTAINER(op, struct asking, op);
  wr_local_leave(a->local);
  wr_free(a);
}

// core.selftest_request(head, body, client) -> status, {name, value, …}, body, is_complete
static int l_selftest_request(lua_State *L)
{
  struct wr_rehearsal *r = check_rehearsal(L);
  wr_task_require(L, "a request of a selftest");
  struct asking *a = wr_alloc(sizeof(*a));
  a->op = (struct wr_op){.name = "the gateway's answer", .cancel = cancel_asking};
  struct wr_local_request request = {.head = wr_bind_str(L, 1),
                                     .body = wr_bind_str(L, 2),
                                     .client = wr_bind_str(L, 3),
                                     .on_end = on_answer,
                                     .ctx = a};
  a->local = wr_local_start(r->server, &request);
  if (a->local == NULL) {
    wr_free(a);
    return luaL_error(L, "the request is larger than a selftest's may be");
  }
  return wr_task_suspend(L, &a->op, 0);
}

static const luaL_Reg functions[] = {
    {"selftest", l_selftest},
    {"selftest_upstream", l_selftest_upstream},
    {"selftest_request", l_selftest_request},
    {NULL, NULL},
};

int wr_bind_selftest(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
