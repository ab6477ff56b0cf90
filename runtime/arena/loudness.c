#include "arena/loudness.h"

#include "arena/slot.h"

#include <stdatomic.h>

static _Atomic uint32_t *order_of(const struct wr_arena *a)
{
  return &wr_slot_of(a, wr_slot_master(a))->log_level;
}

void wr_loudness_order(const struct wr_arena *a, enum wr_log_level level)
{
  atomic_store_explicit(order_of(a), (uint32_t)level + 1, memory_order_relaxed);
}

void wr_loudness_reset(const struct wr_arena *a)
{
  atomic_store_explicit(order_of(a), 0, memory_order_relaxed);
}

enum wr_log_level wr_loudness_level(const struct wr_arena *a, enum wr_log_level own)
{
  uint32_t order = atomic_load_explicit(order_of(a), memory_order_relaxed);
  return order == 0 ? own : (enum wr_log_level)(order - 1);
}
