#pragma once
/// What the limiter's files share.

#include "resilience/limiter.h"

/// The table of keys; not to be used when max_keys is 0.
struct wr_keyed wr_limiter_table(const struct wr_limiter *l);

/// Notes in `l` that an operator's `limit` (0: none) stands above `declared`, if it fits; returns
/// what is in force then.
struct wr_limiter_config wr_limiter_adopt_order(struct wr_limiter *l,
                                                const struct wr_limiter_config *declared,
                                                uint32_t limit);

/// Bytes of a cell of the algorithm.
size_t wr_limiter_cell_bytes(const struct wr_limiter_config *config);

/// When a call may pass as far as the cell tells; `cell` NULL owes nothing.
uint64_t wr_limiter_cell_when(const struct wr_limiter *l, const struct wr_limiter_cell *cell,
                              uint32_t cost, uint64_t now_ns);

/// Charges a call made at `at_ns`.
void wr_limiter_cell_spend(const struct wr_limiter *l, struct wr_limiter_cell *cell, uint32_t cost,
                           uint64_t at_ns);

/// Makes `to`, a cell of `l`, owe what `from`, a cell of `old`, owes. They may be the same cell.
void wr_limiter_cell_convert(const struct wr_limiter *l, struct wr_limiter_cell *to,
                             const struct wr_limiter *old, const struct wr_limiter_cell *from,
                             uint64_t now_ns);

/// Whether keys share it.
static inline bool wr_limiter_cell_is_shared(const struct wr_limiter_cell *cell)
{
  return cell->head.key != 0 && wr_keyed_key(cell->head.key) != cell->head.key;
}

/// What owes nothing may be given to another key. `ctx` is the limiter.
bool wr_limiter_cell_is_busy(const void *cell, const void *ctx, uint64_t now_ns);

/// Makes arbitrary bytes of a cell valid: no debt is larger than what can have been allowed.
void wr_limiter_cell_repair(const struct wr_limiter *l, struct wr_limiter_cell *cell,
                            uint64_t now_ns);

/// Makes `to` owe what either of two cells of `l` owes.
void wr_limiter_cell_merge(const struct wr_limiter *l, struct wr_limiter_cell *to,
                           const struct wr_limiter_cell *other, uint64_t now_ns);

/// The cell of a key, NULL when it owes nothing; and the same, claimed.
struct wr_limiter_cell *wr_limiter_cell_find(const struct wr_limiter *l, uint64_t key,
                                             uint64_t now_ns);
struct wr_limiter_cell *wr_limiter_cell_take(struct wr_limiter *l, uint64_t key, uint64_t now_ns);

/// When a call may pass behind those of its key that wait.
uint64_t wr_limiter_queue_when(const struct wr_limiter *l, uint64_t key, uint32_t cost,
                               uint64_t now_ns);

/// Tells the waiters of a cell anew when they are due.
void wr_limiter_queue_plan(struct wr_limiter *l, uint64_t key, uint64_t now_ns);

/// Tells all of them. Takes the square of their number.
void wr_limiter_queue_plan_all(struct wr_limiter *l, uint64_t now_ns);

/// Links a waiter that is due at `due_ns`.
void wr_limiter_queue_add(struct wr_limiter *l, struct wr_limiter_waiter *w, uint64_t due_ns);

/// The cost of a waiter's call.
uint32_t wr_limiter_queue_cost(const struct wr_limiter_waiter *w);
