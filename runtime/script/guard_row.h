#pragma once
/// What the guard does with the ledger's rows of any kind: granting to waiters of any process. For
/// guard*.c.

#include "script/guard_kind.h"

/// The bells to ring once the entry's lock is given: a bit per slot.
struct wr_guard_bells {
  bool is_any; // most calls ring none
  uint64_t slots[(WR_ARENA_WORKERS_MAX + 64) / 64];
};

/// Tells the waiters of `entry` what became of them; which bells to ring comes back in `bells`.
/// Under the entry's lock.
void wr_guard_row_grant(struct wr_arena *a, struct wr_entry *entry, uint64_t now_ns,
                        struct wr_guard_bells *bells);

/// Rings them and forgets them. Without locks.
void wr_guard_row_ring(const struct wr_arena *a, struct wr_guard_bells *bells);

/// Tells again whoever was granted or refused and may not have heard: the process that told died.
/// Under the entry's lock, from a kind's `recount`.
void wr_guard_row_announce(struct wr_arena *a, struct wr_row *row);

/// The row of an admission of this process; NULL when the id is over. In guard.c, which makes ids.
struct wr_row *wr_guard_row_of(const struct wr_guard *g, uint64_t id);
