#include "script/guard_row.h"

#include "arena/slot.h"

#include <stdatomic.h>

void wr_guard_row_grant(struct wr_arena *a, struct wr_entry *entry, uint64_t now_ns,
                        struct wr_guard_bells *bells)
{
  const struct wr_guard_kind *kind = wr_guard_kind_of(entry);
  struct wr_row *row;
  bool is_in = false;
  while ((row = kind->grant(entry, now_ns, &is_in))) {
    atomic_store_explicit(&row->state, is_in ? WR_ROW_LIVE : WR_ROW_REFUSED, memory_order_release);
    wr_ledger_announce(a, row);
    uint32_t slot = wr_ledger_slot(a, row);
    bells->is_any = true;
    bells->slots[slot / 64] |= UINT64_C(1) << slot % 64;
  }
}

void wr_guard_row_ring(const struct wr_arena *a, struct wr_guard_bells *bells)
{
  if (!bells->is_any) return;
  bells->is_any = false;
  for (uint32_t i = 0; i < WR_COUNT(bells->slots); i++) {
    for (; bells->slots[i]; bells->slots[i] &= bells->slots[i] - 1) {
      wr_slot_ring(a, i * 64 + (uint32_t)__builtin_ctzll(bells->slots[i]));
    }
  }
}

void wr_guard_row_announce(struct wr_arena *a, struct wr_row *row)
{
  if (!atomic_load_explicit(&row->is_pending, memory_order_relaxed)) return;
  wr_ledger_announce(a, row);
  wr_slot_ring(a, wr_ledger_slot(a, row));
}
