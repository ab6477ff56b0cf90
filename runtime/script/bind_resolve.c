// Questions to name servers, and files of endpoints: what upstreams find their endpoints by.

#include "script/bind.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/check.h"
#include "loop/watch.h"
#include "script/bind_error.h"
#include "script/task.h"
#include "upstream/resolver.h"
#include "upstream/srv.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 4 * 1024 * 1024 };

#define QUIET_NS (100 * WR_MS)

static void set_integer(lua_State *L, const char *key, lua_Integer value)
{
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

// Addresses of a name

struct address_query {
  struct wr_op op;
  struct wr_resolver_query query;
};

static void on_addresses(struct wr_resolver_query *q, const struct wr_dns_answer *answer,
                         const struct wr_error *error)
{
  struct address_query *a = WR_CONTAINER(q, struct address_query, query);
  struct wr_task *t = a->op.task;
  wr_free(a);
  if (answer == NULL) {
    wr_task_resume_error(t, error);
    return;
  }
  lua_createtable(t->co, (int)answer->count, 0);
  for (size_t i = 0; i < answer->count; i++) {
    lua_pushstring(t->co, answer->items[i].text);
    lua_rawseti(t->co, -2, (int)i + 1);
  }
  lua_pushnumber(t->co, (double)answer->ttl_s * (double)WR_SECOND);
  wr_task_resume(t, 2);
}

static void cancel_addresses(struct wr_op *op)
{
  struct address_query *a = WR_CONTAINER(op, struct address_query, op);
  wr_resolver_cancel(&a->query);
  wr_free(a);
}

// core.resolve(name) -> list of addresses, ns for which they hold | nil, err
static int l_resolve(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a name's lookup");
  struct wr_str name = wr_bind_str(L, 1);
  struct address_query *a = wr_alloc(sizeof(*a));
  a->op = (struct wr_op){.name = "a name's lookup", .cancel = cancel_addresses};
  wr_resolver_query(t->script->env->resolver, name, &a->query, on_addresses);
  return wr_task_suspend(L, &a->op, 0);
}

// SRV records of a name. c-ares cannot take a question back: a cancelled one is freed by its
// answer.

struct srv_query {
  struct wr_op op;
  bool is_waiting; // the task is suspended on it
  bool is_cancelled;
  bool is_done;
  const char *reason;
  struct wr_srv_answer answer;
};

static int push_srv(lua_State *L, const struct srv_query *q)
{
  if (q->reason) {
    struct wr_error error;
    wr_error_set(&error, WR_ERROR_DNS, "%s", q->reason);
    return wr_bind_error_fail(L, &error);
  }
  lua_createtable(L, (int)q->answer.count, 0);
  for (size_t i = 0; i < q->answer.count; i++) {
    const struct wr_srv_record *record = &q->answer.records[i];
    lua_createtable(L, 0, 4);
    lua_pushstring(L, record->target);
    lua_setfield(L, -2, "target");
    set_integer(L, "port", record->port);
    set_integer(L, "priority", record->priority);
    set_integer(L, "weight", record->weight);
    lua_rawseti(L, -2, (int)i + 1);
  }
  lua_pushnumber(L, (double)q->answer.ttl_s * (double)WR_SECOND);
  return 2;
}

static void on_srv(void *ctx, const unsigned char *reply, size_t len, const char *reason)
{
  struct srv_query *q = ctx;
  q->reason = reason;
  if (reply && !wr_srv_read(reply, len, &q->answer)) {
    q->reason = "the name server's answer is unusable";
  }
  q->is_done = true;
  if (q->is_cancelled) {
    wr_free(q);
  } else if (q->is_waiting) {
    struct wr_task *t = q->op.task;
    int results = push_srv(t->co, q);
    wr_free(q);
    wr_task_resume(t, results);
  }
}

static void cancel_srv(struct wr_op *op)
{
  WR_CONTAINER(op, struct srv_query, op)->is_cancelled = true;
}

// core.resolve_srv(name) -> list of { target, port, priority, weight }, ns for which they hold |
// nil, err
static int l_resolve_srv(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a name's lookup");
  const char *name = luaL_checkstring(L, 1);
  struct srv_query *q = wr_alloc(sizeof(*q));
  q->op = (struct wr_op){.name = "a name's lookup", .cancel = cancel_srv};
  wr_dns_ask(wr_resolver_dns(t->script->env->resolver), name, WR_SRV_TYPE, on_srv, q);
  if (q->is_done) {
    int results = push_srv(L, q);
    wr_free(q);
    return results;
  }
  q->is_waiting = true;
  return wr_task_suspend(L, &q->op, 0);
}

// Files

// core.file_text(path) -> text | nil, message
static int l_file_text(lua_State *L)
{
  const char *path = luaL_checkstring(L, 1);
  FILE *file = fopen(path, "re");
  if (file == NULL) return wr_bind_refuse(L, strerror(errno));
  struct wr_buf text;
  char piece[4096];
  size_t len;
  bool fits = true;
  wr_buf_init(&text, FILE_MAX);
  while (fits && (len = fread(piece, 1, sizeof(piece), file)) > 0) {
    fits = wr_buf_append(&text, piece, len);
  }
  bool ok = fits && !ferror(file);
  fclose(file);
  struct wr_str s = wr_buf_str(&text);
  if (ok) lua_pushlstring(L, s.len ? s.ptr : "", s.len);
  wr_buf_fini(&text);
  return ok ? 1 : wr_bind_refuse(L, fits ? "it cannot be read" : "it is larger than 4 MiB");
}

struct change_wait {
  struct wr_op op;
  struct wr_watch watch;
};

static void free_change(struct change_wait *c)
{
  wr_watch_clear(&c->watch);
  wr_free(c);
}

static void on_change(struct wr_watch *w)
{
  struct change_wait *c = WR_CONTAINER(w, struct change_wait, watch);
  struct wr_task *t = c->op.task;
  free_change(c);
  lua_pushboolean(t->co, 1);
  wr_task_resume(t, 1);
}

static void cancel_change(struct wr_op *op)
{
  struct change_wait *c = WR_CONTAINER(op, struct change_wait, op);
  free_change(c);
}

// core.file_changed(folder, name, ns) -> true when that file of the folder changed, and then
// nothing did for a moment | nil, err: it did not for so long
static int l_file_changed(lua_State *L)
{
  struct wr_task *t = wr_task_require(L, "a file's change");
  const char *folder = luaL_checkstring(L, 1);
  const char *name = luaL_checkstring(L, 2);
  uint64_t limit_ns = (uint64_t)luaL_checknumber(L, 3);
  struct change_wait *c = wr_alloc(sizeof(*c));
  c->op = (struct wr_op){.name = "a file's change", .cancel = cancel_change};
  wr_watch_init(&c->watch, t->script->env->loop, QUIET_NS, on_change);
  wr_watch_add(&c->watch, folder, name); // if it cannot be watched the time-out looks for it
  return wr_task_suspend(L, &c->op, limit_ns);
}

static const luaL_Reg functions[] = {
    {"resolve", l_resolve},
    {"resolve_srv", l_resolve_srv},
    {"file_text", l_file_text},
    {"file_changed", l_file_changed},
    {NULL, NULL},
};

int wr_bind_resolve(lua_State *L)
{
  luaL_register(L, NULL, functions);
  return 0;
}
