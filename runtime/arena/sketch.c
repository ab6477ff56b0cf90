#include "arena/sketch.h"

#include <string.h>

enum { PROBES = 4 };

// Double hashing: one odd step for each hash.
static uint64_t probe(const struct wr_sketch *s, uint64_t hash, unsigned i)
{
  uint64_t step = hash >> 32 | 1;
  return (hash + i * step * UINT64_C(0x9e3779b97f4a7c15)) >> 16 & (s->count - 1);
}

unsigned wr_sketch_get(const struct wr_sketch *s, uint64_t hash)
{
  unsigned least = WR_SKETCH_TOP;
  for (unsigned i = 0; i < PROBES; i++) {
    unsigned one = s->counters[probe(s, hash, i)];
    if (one < least) least = one;
  }
  return least;
}

// Only the smallest ones grow: the others count somebody else too.
void wr_sketch_add(const struct wr_sketch *s, uint64_t hash)
{
  unsigned least = wr_sketch_get(s, hash);
  if (least == WR_SKETCH_TOP) return;
  for (unsigned i = 0; i < PROBES; i++) {
    uint8_t *one = &s->counters[probe(s, hash, i)];
    if (*one == least) (*one)++;
  }
}

void wr_sketch_age(const struct wr_sketch *s)
{
  for (uint64_t i = 0; i < s->count; i++) s->counters[i] /= 2;
}

void wr_sketch_clear(const struct wr_sketch *s)
{
  memset(s->counters, 0, s->count);
}
