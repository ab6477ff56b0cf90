#include "script/scope.h"

#include "base/alloc.h"
#include "resilience/deadline.h"
#include "script/task.h"
#include "script/trail.h"

enum { SCOPES_FIRST = 8 };

static struct wr_scope *push(struct wr_task *t, enum wr_scope_kind kind)
{
  if (t->scope_count == t->scope_cap) {
    t->scope_cap = t->scope_cap ? t->scope_cap * 2 : SCOPES_FIRST;
    t->scopes = wr_realloc(t->scopes, t->scope_cap * sizeof(*t->scopes));
  }
  struct wr_scope *scope = &t->scopes[t->scope_count++];
  *scope = (struct wr_scope){.kind = kind, .link = WR_CHAIN_NONE, .outer = t->layer};
  return scope;
}

void wr_scope_push_deadline(struct wr_task *t, uint64_t after_ns, enum wr_error_kind expiry)
{
  struct wr_scope *scope = push(t, WR_SCOPE_DEADLINE);
  scope->deadline_ns = t->deadline_ns;
  scope->expiry = t->deadline_expiry;
  uint64_t at = wr_deadline_in(wr_loop_now(t->script->env->loop), after_ns);
  if (at >= t->deadline_ns) return;
  t->deadline_ns = at;
  t->deadline_expiry = expiry;
}

void wr_scope_push_ticket(struct wr_task *t, uint64_t ticket, uint64_t attempt_timeout_ns)
{
  struct wr_scope *scope = push(t, WR_SCOPE_TICKET);
  scope->ticket = ticket;
  scope->started_ns = wr_loop_now(t->script->env->loop);
  scope->attempt_timeout_ns = attempt_timeout_ns;
}

void wr_scope_push_retry(struct wr_task *t, const void *retry)
{
  push(t, WR_SCOPE_RETRY)->retry = retry;
}

void wr_scope_enter_layer(struct wr_task *t, const struct wr_chain_link *link)
{
  if (link == NULL) return;
  struct wr_scope *scope = &t->scopes[t->scope_count - 1];
  t->layer = scope->link = wr_chain_index(&t->trail->chain, link);
}

void wr_scope_leave_layer(struct wr_task *t, const struct wr_scope *scope)
{
  t->layer = scope->outer;
  if (scope->link == WR_CHAIN_NONE) return;
  wr_chain_at(&t->trail->chain, scope->link)->left_ns = wr_loop_now(t->script->env->loop);
}

size_t wr_scope_mark(const struct wr_task *t)
{
  return t->scope_count;
}

static void close_frame(struct wr_task *t, const struct wr_scope *scope)
{
  if (scope->link != WR_CHAIN_NONE && t->deadline_ns <= wr_loop_now(t->script->env->loop)) {
    wr_chain_at(&t->trail->chain, scope->link)->result = WR_STR("expired");
  }
  t->deadline_ns = scope->deadline_ns;
  t->deadline_expiry = scope->expiry;
}

void wr_scope_unwind(struct wr_task *t, size_t mark)
{
  struct wr_script_env *env = t->script->env;
  while (t->scope_count > mark) {
    struct wr_scope *scope = &t->scopes[--t->scope_count];
    if (scope->kind == WR_SCOPE_DEADLINE) close_frame(t, scope);
    wr_scope_leave_layer(t, scope);
    if (scope->kind == WR_SCOPE_TICKET) {
      wr_guard_leave(env->guard, scope->ticket, WR_OUTCOME_CANCELLED, wr_loop_now(env->loop));
    }
  }
}
