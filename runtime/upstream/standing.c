#include "upstream/standing.h"

#include <math.h>

void wr_standing_add(struct wr_standing *s, uint32_t calls, uint64_t sum_ns, uint64_t now_ns)
{
  if (calls == 0) return;
  if (now_ns > s->at_ns) {
    double kept = exp(-(double)(now_ns - s->at_ns) / (double)WR_STANDING_DECAY_NS);
    s->sum_ns *= kept;
    s->calls *= kept;
    s->at_ns = now_ns;
  }
  s->sum_ns += (double)sum_ns;
  s->calls += calls;
}

void wr_standing_fail(struct wr_standing *s, const struct wr_standing_failure *failure,
                      uint64_t now_ns)
{
  s->last = *failure;
  s->failed_ns = now_ns;
}

double wr_standing_latency(const struct wr_standing *s)
{
  return s->calls > 0 ? s->sum_ns / s->calls : NAN;
}

void wr_standing_repair(struct wr_standing *s, uint64_t now_ns)
{
  bool is_mean = isfinite(s->sum_ns) && isfinite(s->calls) && s->sum_ns >= 0 && s->calls >= 0;
  if (!is_mean || s->at_ns > now_ns) s->sum_ns = s->calls = 0;
  if (s->at_ns > now_ns) s->at_ns = now_ns;
  s->last.is_check = *(const unsigned char *)&s->last.is_check == 1;
  if (s->last.error >= WR_ERROR_KINDS || s->failed_ns > now_ns) s->failed_ns = 0;
}
