#pragma once
/// How many connections each client has in each worker, so that all workers together can keep to
/// one limit for a client.
///
/// A table for each slot, of which its process alone is the writer; others read. Counts are exact
/// but for a client whose bucket is full of others, who is let in uncounted: which clients meet in
/// a bucket depends on the arena's hash key, and a table has three times as many cells as a worker
/// may have connections. All by atomics; a worker that dies leaves its table to be wiped.

#include "arena/arena.h"

enum {
  WR_CLIENTS_CELLS = 32768, ///< of one worker
  WR_CLIENTS_BUCKET = 8,    ///< cells in which a client may be found
};

/// What `wr_clients_enter` returns beside a cell's number.
enum {
  WR_CLIENTS_REFUSED = -2,
  WR_CLIENTS_UNCOUNTED = -1,
};

struct wr_clients_cell {
  _Atomic uint64_t key; ///< of whom `count` is
  _Atomic uint64_t count;
};

struct wr_clients_table {
  struct wr_clients_cell cells[WR_CLIENTS_CELLS];
};

/// Who `who` is for these tables.
uint64_t wr_clients_key(const struct wr_arena *a, struct wr_str who);

/// One connection more in worker `slot`, unless all workers together would have more than `max` of
/// this client. The cell to leave again, WR_CLIENTS_UNCOUNTED, or WR_CLIENTS_REFUSED.
int32_t wr_clients_enter(struct wr_arena *a, uint32_t slot, uint64_t key, uint32_t max);

/// The connection that `wr_clients_enter` gave this cell is over; does nothing for a negative one.
void wr_clients_leave(struct wr_arena *a, uint32_t slot, int32_t cell);

/// Connections of this client in all workers.
uint64_t wr_clients_count(const struct wr_arena *a, uint64_t key);

/// Forgets the connections of a worker that is gone.
void wr_clients_wipe(struct wr_arena *a, uint32_t slot);

/// Bytes of the section. For wr_arena_open.
size_t wr_clients_size(uint32_t slot_count);
