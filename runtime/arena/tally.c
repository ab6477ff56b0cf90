#include "arena/tally.h"

#include "arena/slot.h"
#include "base/check.h"

#include <stdatomic.h>

// One writer: an increment needs no locked instruction.
#define ADD(field, n) STORE(field, atomic_load_explicit(&(field), memory_order_relaxed) + (n))
#define STORE(field, value) atomic_store_explicit(&(field), value, memory_order_relaxed)

enum { FIRST_SHIFT = 16, PARTS = 4, PART_BITS = 2 }; // the first bucket ends at 65,536 ns

void wr_tally_reset(struct wr_tally *t)
{
  if (t == NULL) return;
  for (size_t i = 0; i < WR_TALLY_ENDS; i++) STORE(t->ends[i], 0);
  for (size_t i = 0; i < WR_TALLY_LATENCIES; i++) STORE(t->latencies[i], 0);
}

struct wr_tally *wr_tally_take(struct wr_slot *s, uint64_t number)
{
  for (size_t i = 0; i < WR_TALLY_ROWS; i++) {
    struct wr_tally *t = &s->tallies[i];
    if (atomic_load_explicit(&t->number, memory_order_relaxed) != 0) continue;
    wr_tally_reset(t);
    STORE(t->state, 0);
    STORE(t->requests, 0);
    STORE(t->bytes, 0);
    atomic_store_explicit(&t->number, number, memory_order_release);
    return t;
  }
  return NULL;
}

void wr_tally_free(struct wr_tally *t)
{
  if (t != NULL) STORE(t->number, 0);
}

void wr_tally_clear(struct wr_slot *s)
{
  for (size_t i = 0; i < WR_TALLY_ROWS; i++) wr_tally_free(&s->tallies[i]);
}

uint32_t wr_tally_bucket(uint64_t duration_ns)
{
  if (duration_ns < UINT64_C(1) << FIRST_SHIFT) return 0;
  uint32_t octave = 63 - (uint32_t)__builtin_clzll(duration_ns);
  uint32_t part = (uint32_t)(duration_ns >> (octave - PART_BITS)) & (PARTS - 1);
  uint32_t bucket = 1 + (octave - FIRST_SHIFT) * PARTS + part;
  return bucket < WR_TALLY_LATENCIES ? bucket : WR_TALLY_LATENCIES - 1;
}

uint64_t wr_tally_bucket_max(uint32_t bucket)
{
  WR_CHECK(bucket < WR_TALLY_LATENCIES);
  if (bucket == WR_TALLY_LATENCIES - 1) return UINT64_MAX;
  uint32_t octave = FIRST_SHIFT + bucket / PARTS;
  return (UINT64_C(1) << octave) + bucket % PARTS * (UINT64_C(1) << (octave - PART_BITS)) - 1;
}

void wr_tally_count(struct wr_tally *t, enum wr_tally_end end, uint64_t duration_ns)
{
  if (t == NULL) return;
  ADD(t->ends[end], 1);
  ADD(t->latencies[wr_tally_bucket(duration_ns)], 1);
}
