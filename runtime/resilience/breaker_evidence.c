#include "resilience/breaker_internal.h"
#include "resilience/deadline.h"

double wr_breaker_ratio(uint64_t part, uint64_t whole)
{
  return whole > 0 ? (double)part / (double)whole : 0;
}

static void count(struct wr_breaker_evidence *e, struct wr_breaker *b, uint64_t now_ns)
{
  bool has_normal = b->state == WR_BREAKER_CLOSED || b->state == WR_BREAKER_FORCED_CLOSED;
  e->sum = wr_window_sum(&b->window, now_ns);
  e->overdue = has_normal ? wr_inflight_overdue(&b->inflight, now_ns) : 0;
}

static void rate(struct wr_breaker_evidence *e)
{
  uint64_t slow = (uint64_t)e->sum.slow + e->overdue;
  e->failure_rate = wr_breaker_ratio(e->sum.failure, e->sum.total);
  e->slow_rate = wr_breaker_ratio(slow, (uint64_t)e->sum.total + e->overdue);
}

struct wr_breaker_evidence wr_breaker_gather(struct wr_breaker *b, uint64_t now_ns)
{
  struct wr_breaker_evidence e;
  count(&e, b, now_ns);
  rate(&e);
  return e;
}

// A threshold of 0 is a rule that is off.
static bool reaches(double rate, double threshold)
{
  return threshold > 0 && rate >= threshold;
}

enum wr_breaker_cause wr_breaker_judge(struct wr_breaker *b, uint64_t now_ns)
{
  const struct wr_breaker_config *c = &b->config;
  if (c->consecutive > 0 && b->failures_in_row >= c->consecutive) {
    return WR_BREAKER_CAUSE_CONSECUTIVE;
  }
  struct wr_breaker_evidence e;
  count(&e, b, now_ns);
  // Most calls are well: what is zero reaches no threshold, and divisions cost more than the rest.
  if ((e.sum.failure | e.sum.slow | e.overdue) == 0) return WR_BREAKER_CAUSES;
  rate(&e);
  uint32_t need = wr_breaker_config_min_calls(c);
  if (e.sum.total >= need) {
    if (reaches(e.failure_rate, c->failure_rate)) return WR_BREAKER_CAUSE_FAILURE_RATE;
    double finished = wr_breaker_ratio(e.sum.slow, e.sum.total);
    if (reaches(finished, c->slow_rate)) return WR_BREAKER_CAUSE_SLOW_RATE;
  }
  bool is_enough = (uint64_t)e.sum.total + e.overdue >= need && e.overdue > 0;
  if (is_enough && reaches(e.slow_rate, c->slow_rate)) return WR_BREAKER_CAUSE_SLOW_IN_FLIGHT;
  return WR_BREAKER_CAUSES;
}
