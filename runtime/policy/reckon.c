#include "policy/reckon.h"

#include <stdatomic.h>

static enum wr_tally_end end_of(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  if (s->error == WR_ERROR_SCRIPT || (s->is_failing && !s->is_bypassed)) return WR_TALLY_RAISED;
  if (s->error == WR_ERROR_REFUSED || s->error == WR_ERROR_LIMITED || s->error == WR_ERROR_SHED) {
    return WR_TALLY_REFUSED;
  }
  return stats->status >= 500 || !stats->is_complete ? WR_TALLY_FAILED : WR_TALLY_OK;
}

void wr_reckon_request(const struct wr_serving *s, const struct wr_exchange_stats *stats)
{
  struct wr_tally *t = s->tally;
  if (t == NULL || s->error == WR_ERROR_CANCELLED || s->is_tunnel) return;
  if (atomic_load_explicit(&t->number, memory_order_relaxed) != s->generation_number) return;
  uint64_t took_ns = wr_loop_now(s->serve->env->loop) - s->request.info->start_ns;
  wr_tally_count(t, end_of(s, stats), took_ns);
}
