#include "script/attempt.h"

#include "http/method.h"
#include "script/trail.h"

static struct wr_chain *chain_of(struct wr_task *t)
{
  return t && t->trail ? &t->trail->chain : NULL;
}

static uint64_t now_of(const struct wr_response *r)
{
  return wr_loop_now(r->env->loop);
}

void wr_attempt_begin(struct wr_response *r, struct wr_task *t, struct wr_str method)
{
  struct wr_str name = wr_str_of(wr_response_upstream(r));
  struct wr_chain_link *link = wr_task_note(t, WR_DECISION_ATTEMPT, name);
  if (link == NULL) return;
  struct wr_chain *chain = chain_of(t);
  r->chain_link = wr_chain_index(chain, link);
  link->ended_ns = 0;
  link->number = (uint16_t)t->trail->attempts;
  link->method = wr_method_name(method);
  link->detail = wr_chain_text(chain, wr_str_of(t->trail->endpoint));
}

static struct wr_chain_link *link_of(struct wr_response *r, struct wr_task *t)
{
  struct wr_chain *chain = chain_of(t);
  struct wr_chain_link *link = chain ? wr_chain_at(chain, r->chain_link) : NULL;
  r->chain_link = WR_CHAIN_NONE;
  return link;
}

void wr_attempt_answered(struct wr_response *r)
{
  struct wr_chain_link *link = link_of(r, r->op.task);
  if (link == NULL) return;
  link->status = (uint16_t)r->status;
  link->result = WR_STR("answered");
  link->ended_ns = now_of(r);
}

void wr_attempt_failed(struct wr_response *r, struct wr_task *t, enum wr_error_kind kind)
{
  struct wr_chain_link *link = link_of(r, t);
  if (link == NULL) return;
  link->result = wr_str_of(wr_error_name(kind));
  link->ended_ns = now_of(r);
  if (r->error.kind == kind) link->why = wr_chain_text(chain_of(t), wr_str_of(r->error.message));
}

void wr_attempt_refused(struct wr_task *t, const char *name, const struct wr_error *error)
{
  struct wr_chain_link *link = wr_task_note_copy(t, WR_DECISION_ATTEMPT, name);
  if (link == NULL) return;
  link->result = wr_str_of(wr_error_name(error->kind));
  link->why = wr_chain_text(chain_of(t), wr_str_of(error->message));
}
