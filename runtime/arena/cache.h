#pragma once
/// Bounded in-memory cache shared by all workers: bytes under (space, key), fresh for a while, then
/// stale for a while.
///
/// Shards, each with its own lock, hash index and circular log: what is written goes to the log's
/// head and what its tail meets is evicted, unless it was read since it was written; then it is
/// written again. So the memory never grows, never fragments, and a death inside costs one shard's
/// content. A space is a registry entry of kind CACHE and sees only its own keys. Any process; in a
/// privatised arena nothing is kept. Limits: cache_bytes of the arena, WR_CACHE_KEY_MAX, a quarter
/// of a shard per item.

#include "arena/registry.h"
#include "base/buf.h"

enum { WR_CACHE_SHARDS = 16, WR_CACHE_KEY_MAX = 4096 };

#define WR_CACHE_BYTES_MAX ((size_t)64 << 30)

/// A space's settings.
struct wr_cache_config {
  uint64_t ttl_ns;      ///< fresh for so long, unless the item says otherwise
  uint64_t stale_ns;    ///< and then served stale for so long, to those who allow it
  uint64_t entry_bytes; ///< largest value; 0: what a shard takes
};

/// A space's state: settings in force, and counters since birth.
struct wr_cache_space {
  _Atomic uint64_t ttl_ns;      // private: changed by reconcile
  _Atomic uint64_t stale_ns;    // private
  _Atomic uint64_t entry_bytes; // private
  _Atomic uint64_t hits;
  _Atomic uint64_t stale;
  _Atomic uint64_t misses;
  _Atomic uint64_t stored;
  _Atomic uint64_t refused; ///< values that were too large
};

struct wr_cache_item {
  struct wr_str key;
  struct wr_str value;
  uint8_t tag;       ///< the caller's: how to read the value
  uint64_t ttl_ns;   ///< 0: the space's
  uint64_t stale_ns; ///< UINT64_MAX: the space's
};

enum wr_cache_result { WR_CACHE_MISS, WR_CACHE_STALE, WR_CACHE_FRESH };

struct wr_cache_found {
  struct wr_buf *value;   ///< given by the caller (may be NULL): the value is appended
  bool allow_stale;       ///< given by the caller
  uint8_t tag;            ///< out, as all below; only when it was found
  uint64_t age_ns;        ///< since it was stored
  uint64_t ttl_left_ns;   ///< 0 when stale
  uint64_t stale_left_ns; ///< until it is gone
};

/// Puts settings in force. Any time; readers see the old or the new ones.
void wr_cache_space_apply(struct wr_cache_space *space, const struct wr_cache_config *config);

/// Stores a copy, replacing what was there. False when it is too large: then what was there is gone
/// too.
bool wr_cache_set(struct wr_arena *a, struct wr_entry *space, const struct wr_cache_item *item,
                  uint64_t now_ns);

/// Finds an item; a stale one only when allowed. A value that does not fit into `found->value` is a
/// miss.
enum wr_cache_result wr_cache_get(struct wr_arena *a, struct wr_entry *space, struct wr_str key,
                                  uint64_t now_ns, struct wr_cache_found *found);

/// Forgets an item. False when there was none.
bool wr_cache_delete(struct wr_arena *a, struct wr_entry *space, struct wr_str key);

struct wr_cache_stats {
  uint64_t bytes_max, bytes_used; ///< of the logs; used counts dead items until the tail meets them
  uint64_t items;
  uint64_t evictions; ///< items dropped for room before they were stale
  uint64_t second_chances;
  uint64_t cleared; ///< shards emptied because a lock holder died
};

/// Fills `*stats`; takes the locks it needs.
void wr_cache_stats(struct wr_arena *a, struct wr_cache_stats *stats);

/// Bytes of the section. For wr_arena_open.
size_t wr_cache_size(size_t cache_bytes);

/// Makes empty shards of a zeroed section. For wr_arena_open.
void wr_cache_init(struct wr_arena *a, size_t cache_bytes);
