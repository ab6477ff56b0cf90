#pragma once
/// Bounded in-memory cache shared by all workers: bytes under (space, key), fresh for a while, then
/// stale for a while.
///
/// Shards, each with its own lock, hash index and logs (arena/cache_shard.h); the memory never
/// grows, never fragments, and a death inside costs one shard's content. Who stays when room is
/// short is decided by how often an item was asked for of late (W-TinyLFU). A space is a registry
/// entry of kind CACHE and sees only its own keys; values and remembered failures of one key are
/// two items. Tags: a generation for each, in a table of WR_CACHE_TAG_SLOTS that all spaces share,
/// so a purge is one addition whatever it purges, and every worker sees it at once; two tags of one
/// slot are purged together. Any process; in a privatised arena nothing is kept. Limits:
/// cache_bytes of the arena, WR_CACHE_KEY_MAX, WR_CACHE_TAGS_MAX, half of a shard's main log per
/// item.

#include "arena/registry.h"
#include "base/buf.h"

enum { WR_CACHE_SHARDS = 8, WR_CACHE_KEY_MAX = 4096, WR_CACHE_TAGS_MAX = 8 };

#define WR_CACHE_BYTES_MAX ((size_t)64 << 30)

/// What is counted of a space.
enum wr_cache_event {
#define WR_CACHE_EVENT(ENUM, name, meaning) WR_CACHE_##ENUM,
#include "tables/states.def"
  WR_CACHE_EVENTS
};

/// A space's settings.
struct wr_cache_config {
  uint64_t ttl_ns;      ///< fresh for so long, unless the item says otherwise
  uint64_t stale_ns;    ///< and then kept so long, for those who allow stale ones
  uint64_t entry_bytes; ///< largest value; 0: what a shard takes
};

/// A space's state: settings in force, and counters since birth.
struct wr_cache_space {
  _Atomic uint64_t ttl_ns;      // private: changed by reconcile
  _Atomic uint64_t stale_ns;    // private
  _Atomic uint64_t entry_bytes; // private
  _Atomic uint64_t events[WR_CACHE_EVENTS];
};

/// Which item of a space.
struct wr_cache_key {
  struct wr_entry *space;
  struct wr_str key;
  bool is_failure; ///< what is remembered of a fetch that failed, not a value
};

struct wr_cache_item {
  struct wr_cache_key at;
  struct wr_str value;
  uint8_t form;              ///< the caller's: how to read the value
  uint64_t ttl_ns;           ///< 0: the space's
  uint64_t stale_ns;         ///< UINT64_MAX: the space's
  const struct wr_str *tags; ///< a purge of any of them purges the item
  uint32_t tag_count;        ///< up to WR_CACHE_TAGS_MAX; further ones are not seen
  uint64_t stamp; ///< from `wr_cache_stamp` before the value was made; 0: it is as new as now
};

enum wr_cache_result { WR_CACHE_NONE, WR_CACHE_IS_STALE, WR_CACHE_IS_FRESH };

struct wr_cache_found {
  struct wr_buf *value;   ///< given by the caller (may be NULL): the value is appended
  bool allow_stale;       ///< given by the caller
  uint8_t form;           ///< out, as all below; only when it was found
  uint64_t age_ns;        ///< since it was stored
  uint64_t ttl_left_ns;   ///< 0 when stale
  uint64_t stale_for_ns;  ///< 0 when fresh
  uint64_t stale_left_ns; ///< until it is gone
};

/// Puts settings in force. Any time; readers see the old or the new ones.
void wr_cache_space_apply(struct wr_cache_space *space, const struct wr_cache_config *config);

/// Counts an event of a space.
void wr_cache_count(struct wr_entry *space, enum wr_cache_event event);

/// What is true of the key and the tags now, never 0: given with the item that is made from now on,
/// it keeps a value that a purge overtook from being stored.
uint64_t wr_cache_stamp(struct wr_arena *a, const struct wr_cache_item *item);

/// Stores a copy, replacing what was there, and says, and counts, what became of it: STORED,
/// TOO_LARGE (what was there is gone too), REJECTED (other items are worth more), PURGED (since the
/// stamp).
enum wr_cache_event wr_cache_set(struct wr_arena *a, const struct wr_cache_item *item,
                                 uint64_t now_ns);

/// Finds an item; a stale one only when allowed. A value that does not fit into `found->value` is
/// not found.
enum wr_cache_result wr_cache_get(struct wr_arena *a, const struct wr_cache_key *at,
                                  uint64_t now_ns, struct wr_cache_found *found);

/// Forgets the value and the failure under a key, and what is on its way. False when there was no
/// value.
bool wr_cache_purge(struct wr_arena *a, struct wr_entry *space, struct wr_str key);

/// Forgets every item of the space with that tag; an empty tag is all items.
void wr_cache_purge_tag(struct wr_arena *a, struct wr_entry *space, struct wr_str tag);

struct wr_cache_stats {
  uint64_t bytes_max, bytes_used; ///< of the logs; used counts dead items until the tail meets them
  uint64_t items;
  uint64_t item_bytes_max; ///< largest item, with its key and 96 bytes of its own
  uint64_t evictions;      ///< items dropped for others before they were stale
  uint64_t rejections;     ///< new items that were worth less than those they would have replaced
  uint64_t second_chances;
  uint64_t cleared; ///< shards emptied because a lock holder died
};

/// Fills `*stats`; takes the locks it needs.
void wr_cache_stats(struct wr_arena *a, struct wr_cache_stats *stats);

/// "hit", …
const char *wr_cache_event_name(enum wr_cache_event event);

/// Bytes of the section. For wr_arena_open.
size_t wr_cache_size(size_t cache_bytes);

/// Makes empty shards of a zeroed section. For wr_arena_open.
void wr_cache_init(struct wr_arena *a, size_t cache_bytes);
