#pragma once
/// The memory that all processes of one weir share: a memfd mapped before the first fork, so that
/// pointers into it are valid everywhere.
///
/// The master opens it; workers inherit mapping and handle. The header says which layout this is
/// and where the sections are; each section belongs to the file of its name. `struct wr_arena` is a
/// process's own handle. Pages are committed when first touched: a large size costs nothing.

#include "base/error.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wr_slab;
struct wr_registry_table;
struct wr_ledger_table;
struct wr_slot;
struct wr_clients_table;
struct wr_series_table;
struct wr_cache_table;
struct wr_session_keys;
struct wr_journal_table;

enum {
  WR_ARENA_WORKERS_MAX = 128, ///< worker slots
};

/// Of the layout: any change of a shared struct bumps it (arena/layout.c).
uint32_t wr_arena_version(void);

#define WR_ARENA_MAGIC UINT64_C(0x616e657261726977) ///< "wirarena" in memory

/// What the arena must hold; 0 takes the default.
struct wr_arena_options {
  size_t size; ///< bytes; default: what the sections need; memory is taken as it is written to
  uint32_t worker_count; ///< 1 to WR_ARENA_WORKERS_MAX
  uint32_t ledger_rows;  ///< live tickets per worker, default 32768
  uint32_t series_max;   ///< metric series, default 8192
  size_t cache_bytes;    ///< of the response cache, default 64 MiB
  uint32_t entries_max;  ///< named primitives, default 4096
  uint64_t seed;         ///< of everything random inside, hash keys too: give an unguessable one
  uint32_t fleets;       ///< each of worker_count slots; default 1
  uint64_t stamp;        ///< of what the layers above keep in it, see `wr_arena_adopt`
};

/// At the start of the mapping. Read-only after `wr_arena_open`, but for the last member.
struct wr_arena_header {
  uint64_t magic;
  uint32_t version;
  uint32_t worker_count;
  uint32_t slot_count; ///< the fleets' and one: the last slot is the master's
  uint32_t ledger_rows;
  uint32_t series_max;
  uint32_t entries_max;
  uint64_t size;
  void *base; ///< where it is mapped, in every process
  uint64_t seed;
  uint64_t stamp;
  struct wr_hash_key hash_key; ///< of all tables inside
  struct wr_slot *slots;
  struct wr_ledger_table *ledger;
  struct wr_registry_table *registry;
  struct wr_series_table *series;
  struct wr_cache_table *cache;
  struct wr_clients_table *clients;
  struct wr_session_keys *session_keys;
  struct wr_journal_table *journal;
  struct wr_slab *slab;
  _Atomic uint64_t repairs; ///< what was made valid after its lock's holder had died
};

struct wr_arena {
  struct wr_arena_header *header; ///< read-only
  size_t size;                    ///< read-only
  int fd;                         ///< read-only: the memfd, close-on-exec
  bool is_private;                ///< read-only: `wr_arena_privatise` was called
  /// Optional, for the process that can end the others: called when it must wait for a lock, with
  /// 0, and again each time the wait has lasted until the monotonic time that it returned, with the
  /// thread that holds the lock.
  uint64_t (*on_wait)(void *ctx, uint32_t holder);
  void *on_wait_ctx;
};

/// Maps and lays out an arena, before any fork. False with a set error that names the numbers when
/// the size is too small for the options, or what the kernel refused.
bool wr_arena_open(struct wr_arena *a, const struct wr_arena_options *options,
                   struct wr_error *error);

/// Maps the arena `fd`, which another program opened and handed over, where that had mapped it;
/// `fd` is its own from now on. The bells keep their numbers. False with a set error, and `fd`
/// stays the caller's, when its layout or its stamp is another, or the place is taken.
bool wr_arena_adopt(struct wr_arena *a, int fd, uint64_t stamp, struct wr_error *error);

/// Makes everything this process does from now on in the arena its own: it sees the state of this
/// moment and changes copies. For a forked candidate, which may do anything then. Registry and
/// series are copied whole, under their locks; the insides of primitives are as they are found. The
/// candidate uses the master's slot (`slot_count - 1`). False with a set error when memory is
/// refused.
bool wr_arena_privatise(struct wr_arena *a, struct wr_error *error);

/// Unmaps and closes. The other processes keep theirs.
void wr_arena_fini(struct wr_arena *a);
