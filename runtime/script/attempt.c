#include "script/attempt.h"

#include "base/check.h"
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

// Without the query, as in the log: queries carry secrets.
static struct wr_str url_of(struct wr_region *region, const struct wr_transfer_request *request)
{
  struct wr_str rest = request->target;
  const struct wr_str parts[] = {request->is_https ? WR_STR("https://") : WR_STR("http://"),
                                 request->authority, wr_str_split(&rest, '?')};
  size_t len = 0;
  for (size_t i = 0; i < WR_COUNT(parts); i++) len += parts[i].len;
  char *out = wr_region_take(region, len);
  if (out == NULL) return WR_STR("");
  struct wr_str url = {out, len};
  for (size_t i = 0; i < WR_COUNT(parts); i++) {
    if (parts[i].len > 0) memcpy(out, parts[i].ptr, parts[i].len);
    out += parts[i].len;
  }
  return url;
}

static bool is_traced(const struct wr_task *t)
{
  return t->trail->trace != NULL && t->trail->trace->is_ours;
}

void wr_attempt_begin(struct wr_response *r, struct wr_task *t,
                      const struct wr_transfer_request *request)
{
  struct wr_str name = wr_str_of(wr_response_upstream(r));
  struct wr_chain_link *link = wr_task_note(t, WR_DECISION_ATTEMPT, name);
  if (link == NULL) return;
  struct wr_chain *chain = chain_of(t);
  r->chain_link = wr_chain_index(chain, link);
  link->ended_ns = 0;
  link->number = (uint16_t)t->trail->attempts;
  link->method = wr_method_name(request->method);
  link->detail = wr_chain_text(chain, wr_str_of(t->trail->endpoint));
  if (is_traced(t)) link->url = url_of(chain->region, request);
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
