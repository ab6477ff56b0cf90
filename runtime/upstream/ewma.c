#include "upstream/ewma.h"

#include <math.h>

static double kept(const struct wr_ewma *e, uint64_t now_ns)
{
  if (now_ns <= e->at_ns) return 1;
  return exp(-(double)(now_ns - e->at_ns) / (double)WR_EWMA_DECAY_NS);
}

double wr_ewma_cost(const struct wr_ewma *e, uint64_t now_ns)
{
  return e->at_ns == 0 ? 0 : e->ns * kept(e, now_ns);
}

static void add(struct wr_ewma *e, uint64_t now_ns, double sample)
{
  double share = e->at_ns == 0 ? 0 : kept(e, now_ns);
  e->ns = sample > e->ns * share ? sample : e->ns * share + sample * (1 - share);
  if (now_ns > e->at_ns) e->at_ns = now_ns;
}

void wr_ewma_add(struct wr_ewma *e, uint64_t now_ns, uint64_t latency_ns, bool is_failure)
{
  if (is_failure && latency_ns < WR_EWMA_PENALTY_NS) latency_ns = WR_EWMA_PENALTY_NS;
  add(e, now_ns, (double)latency_ns);
}

void wr_ewma_give_up(struct wr_ewma *e, uint64_t now_ns, uint64_t elapsed_ns)
{
  if ((double)elapsed_ns > wr_ewma_cost(e, now_ns)) add(e, now_ns, (double)elapsed_ns);
}
