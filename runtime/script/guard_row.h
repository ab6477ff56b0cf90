#pragma once
/// What the guard keeps in the ledger's rows, and granting to waiters of any process. For guard*.c.

#include "arena/ledger.h"
#include "resilience/bulkhead.h"
#include "resilience/ticket.h"

/// The bells to ring once the entry's lock is given: a bit per slot.
struct wr_guard_bells {
  uint64_t slots[(WR_ARENA_WORKERS_MAX + 64) / 64];
};

/// The ticket in a row of a breaker.
struct wr_ticket *wr_guard_row_ticket(struct wr_row *row);

/// The waiter in a row of a bulkhead.
struct wr_bulkhead_waiter *wr_guard_row_waiter(struct wr_row *row);

/// Tells every waiter that has something to be told: its row becomes live or refused, and
/// announced. Under the lock of `entry`, a bulkhead.
void wr_guard_row_grant(struct wr_arena *a, struct wr_entry *entry, uint64_t now_ns,
                        struct wr_guard_bells *bells);

/// Rings and forgets the bells. Outside of the lock.
void wr_guard_row_ring(const struct wr_arena *a, struct wr_guard_bells *bells);
