#pragma once
/// Every live ticket and every queued call is a row in its worker's table, so that the master can
/// settle what a dead worker left behind.
///
/// One writer per table: the slot's worker, after its death the master. A row's `state` is the
/// commit point of an admission and changes only under the lock of the entry it refers to, so
/// whoever holds that lock can count the entry's rows in all tables. `struct wr_ledger` is the
/// writer's own handle. Limit: ledger_rows of the arena.

#include "arena/arena.h"
#include "arena/registry.h"

enum { WR_LEDGER_PAYLOAD = 40, WR_LEDGER_ROWS_MAX = 1 << 20 };

enum wr_row_state {
  WR_ROW_FREE,
  WR_ROW_WAITING, ///< queued
  WR_ROW_LIVE,    ///< admitted
  WR_ROW_REFUSED, ///< was queued, in vain; its owner does not know yet
};

/// One cache line.
struct wr_row {
  _Atomic uint32_t state;      ///< enum wr_row_state
  _Atomic uint32_t generation; ///< bumped when the row is freed; never 0
  _Atomic uint64_t entry;      ///< packed reference, see `wr_ledger_entry`
  _Atomic uint32_t is_pending; ///< it was queued, and its owner has not learnt the result
  uint32_t number;             ///< read-only once taken: place in its table
  uint64_t payload[WR_LEDGER_PAYLOAD / 8]; ///< the layer above's: ticket or waiter
};

struct wr_ledger {
  struct wr_arena *arena;
  uint32_t slot;
  struct wr_row *rows;       // private: the slot's
  _Atomic uint32_t *touched; // private: rows ever used since the table was last empty
  uint32_t *free_rows;       // private: stack of row numbers
  uint32_t free_count;       ///< read-only
  uint64_t full;             ///< read-only: takes that found no free row
};

/// Opens the slot's table for writing. Rows that are not free stay so (the master's settlement).
void wr_ledger_init(struct wr_ledger *l, struct wr_arena *a, uint32_t slot);

/// Frees the handle; the rows stay.
void wr_ledger_fini(struct wr_ledger *l);

/// A free row, made to refer to `entry`, its payload zeroed; NULL when the table is full. Still
/// free for everybody else until its state is set.
struct wr_row *wr_ledger_take(struct wr_ledger *l, struct wr_entry_ref entry);

/// Frees the row and makes its ids stale. Its state becomes free: hold the entry's lock unless the
/// state never was anything else, or the entry is gone.
void wr_ledger_give(struct wr_ledger *l, struct wr_row *row);

/// Row `number` of this ledger's table, or NULL when it is not taken as `generation`.
struct wr_row *wr_ledger_find(const struct wr_ledger *l, uint32_t number, uint32_t generation);

/// Row `number` of this ledger's table, whatever its state. `number` < ledger_rows.
struct wr_row *wr_ledger_row(const struct wr_ledger *l, uint32_t number);

/// The entry that a row refers to.
struct wr_entry_ref wr_ledger_entry(const struct wr_row *row);

/// The next row of any slot that is not free and refers to `entry`: start with `*at` = 0; NULL at
/// the end. Exact under the entry's lock. `*slot` (may be NULL) tells whose it is.
struct wr_row *wr_ledger_each(const struct wr_arena *a, struct wr_entry_ref entry, uint64_t *at,
                              uint32_t *slot);

/// The next row of one slot that is not free; start with `*at` = 0; NULL at the end.
struct wr_row *wr_ledger_next(const struct wr_arena *a, uint32_t slot, uint32_t *at);

/// Which slot a row belongs to.
uint32_t wr_ledger_slot(const struct wr_arena *a, const struct wr_row *row);

/// Tells the owner of a row, in whatever process, that its result is there; then ring its bell.
void wr_ledger_announce(const struct wr_arena *a, const struct wr_row *row);

/// Takes one announced row number of this ledger's table; false when there is none.
bool wr_ledger_announced(struct wr_ledger *l, uint32_t *number);

/// Rows in use in a slot's table.
uint32_t wr_ledger_count(const struct wr_arena *a, uint32_t slot);

/// Bytes of the section. For wr_arena_open.
size_t wr_ledger_size(uint32_t slot_count, uint32_t rows);

/// Makes empty tables of a zeroed section. For wr_arena_open.
void wr_ledger_setup(struct wr_arena *a);
