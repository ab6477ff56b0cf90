#include "script/guard_row.h"

#include "arena/slot.h"
#include "base/check.h"

#include <stdatomic.h>

_Static_assert(sizeof(struct wr_ticket) <= WR_LEDGER_PAYLOAD, "a row holds a ticket");
_Static_assert(sizeof(struct wr_bulkhead_waiter) <= WR_LEDGER_PAYLOAD, "a row holds a waiter");

struct wr_ticket *wr_guard_row_ticket(struct wr_row *row)
{
  return (struct wr_ticket *)row->payload;
}

struct wr_bulkhead_waiter *wr_guard_row_waiter(struct wr_row *row)
{
  return (struct wr_bulkhead_waiter *)row->payload;
}

void wr_guard_row_grant(struct wr_arena *a, struct wr_entry *entry, uint64_t now_ns,
                        struct wr_guard_bells *bells)
{
  struct wr_bulkhead_waiter *waiter;
  while ((waiter = wr_bulkhead_grant(entry->state, now_ns))) {
    struct wr_row *row = WR_CONTAINER(waiter, struct wr_row, payload);
    bool is_in = waiter->result == WR_BULKHEAD_ADMITTED;
    atomic_store_explicit(&row->state, is_in ? WR_ROW_LIVE : WR_ROW_REFUSED, memory_order_release);
    wr_ledger_announce(a, row);
    uint32_t slot = wr_ledger_slot(a, row);
    bells->slots[slot / 64] |= UINT64_C(1) << slot % 64;
  }
}

void wr_guard_row_ring(const struct wr_arena *a, struct wr_guard_bells *bells)
{
  for (uint32_t i = 0; i < WR_COUNT(bells->slots); i++) {
    for (; bells->slots[i]; bells->slots[i] &= bells->slots[i] - 1) {
      wr_slot_ring(a, i * 64 + (uint32_t)__builtin_ctzll(bells->slots[i]));
    }
  }
}
