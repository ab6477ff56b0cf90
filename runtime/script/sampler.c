#include "script/sampler.h"

static uint64_t read_low(const char *trace_id)
{
  uint64_t low = 0;
  for (int i = 16; i < 32; i++) {
    char c = trace_id[i];
    low = low << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return low;
}

bool wr_sampler_in_ratio(double ratio, const char *trace_id)
{
  return read_low(trace_id) >> 1 < (uint64_t)(ratio * 0x1p63);
}

bool wr_sampler_takes(const struct wr_sampler *s, const struct wr_trace_context *caller,
                      bool is_believed, struct wr_rng *rng)
{
  if (caller && is_believed && s->is_parent_based) return caller->flags & WR_TRACE_SAMPLED;
  if (s->kind != WR_SAMPLER_RATIO) return s->kind == WR_SAMPLER_ON;
  if (caller && is_believed) return wr_sampler_in_ratio(s->ratio, caller->trace_id);
  return wr_rng_unit(rng) < s->ratio;
}
