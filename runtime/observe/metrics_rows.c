// The series of bulkheads and limiters.

#include "observe/metrics_rows.h"

#include "base/check.h"

bool wr_metrics_rows_bulkhead_available(union wr_metrics_state *s, uint64_t now_ns, int part,
                                        struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_bulkhead *b = &s->bulkhead;
  double left = (double)b->config.max - (double)b->all.in_use;
  *out = (struct wr_metrics_row){NULL, left > 0 ? left : 0};
  return part == 0;
}

bool wr_metrics_rows_bulkhead_max(union wr_metrics_state *s, uint64_t now_ns, int part,
                                  struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->bulkhead.config.max};
  return part == 0;
}

bool wr_metrics_rows_bulkhead_queue(union wr_metrics_state *s, uint64_t now_ns, int part,
                                    struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->bulkhead.queued};
  return part == 0;
}

bool wr_metrics_rows_bulkhead_keys(union wr_metrics_state *s, uint64_t now_ns, int part,
                                   struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->bulkhead.keys};
  return part == 0;
}

bool wr_metrics_rows_bulkhead_shared(union wr_metrics_state *s, uint64_t now_ns, int part,
                                     struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->bulkhead.shared};
  return part == 0;
}

bool wr_metrics_rows_bulkhead_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                                    struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_bulkhead_counters *c = &s->bulkhead.counters;
  const struct wr_metrics_row rows[] = {
      {"admitted", (double)c->admitted},
      {"queued", (double)c->queued},
      {"refused_full", (double)c->refused_full},
      {"refused_queue_full", (double)c->refused_queue_full},
      {"expired", (double)c->expired},
      {"cancelled", (double)c->left},
      {"shadow_refused", (double)c->shadow_refused},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

bool wr_metrics_rows_limiter_calls(union wr_metrics_state *s, uint64_t now_ns, int part,
                                   struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_limiter_counters *c = &s->limiter.counters;
  const struct wr_metrics_row rows[] = {
      {"admitted", (double)c->admitted},
      {"queued", (double)c->queued},
      {"refused", (double)c->refused},
      {"expired", (double)c->expired},
      {"cancelled", (double)c->left},
      {"drained", (double)c->drained},
      {"shadow_refused", (double)c->shadow_refused},
      {"shadow_queued", (double)c->shadow_queued},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}

bool wr_metrics_rows_limiter_waiting(union wr_metrics_state *s, uint64_t now_ns, int part,
                                     struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->limiter.waiting};
  return part == 0;
}

bool wr_metrics_rows_limiter_available(union wr_metrics_state *s, uint64_t now_ns, int part,
                                       struct wr_metrics_row *out)
{
  struct wr_limiter_look look;
  wr_limiter_look(&s->limiter, 0, now_ns, &look);
  *out = (struct wr_metrics_row){NULL, (double)look.left};
  return part == 0;
}

bool wr_metrics_rows_limiter_keys(union wr_metrics_state *s, uint64_t now_ns, int part,
                                  struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->limiter.keys};
  return part == 0;
}

bool wr_metrics_rows_limiter_shared(union wr_metrics_state *s, uint64_t now_ns, int part,
                                    struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, (double)s->limiter.counters.shared};
  return part == 0;
}

bool wr_metrics_rows_lease_held(union wr_metrics_state *s, uint64_t now_ns, int part,
                                struct wr_metrics_row *out)
{
  (void)now_ns;
  *out = (struct wr_metrics_row){NULL, s->lease.token != 0};
  return part == 0;
}

bool wr_metrics_rows_lease_overdue(union wr_metrics_state *s, uint64_t now_ns, int part,
                                   struct wr_metrics_row *out)
{
  bool is_overdue = s->lease.token == 0 && now_ns > s->lease.due_ns;
  *out = (struct wr_metrics_row){NULL, is_overdue ? (double)(now_ns - s->lease.due_ns) / 1e9 : 0};
  return part == 0;
}

bool wr_metrics_rows_lease_runs(union wr_metrics_state *s, uint64_t now_ns, int part,
                                struct wr_metrics_row *out)
{
  (void)now_ns;
  const struct wr_lease_counters *c = &s->lease.counters;
  const struct wr_metrics_row rows[] = {
      {"begun", (double)c->begun},
      {"done", (double)c->done},
      {"lost", (double)c->lost},
      {"lapsed", (double)c->lapsed},
  };
  if (part >= (int)WR_COUNT(rows)) return false;
  *out = rows[part];
  return true;
}
